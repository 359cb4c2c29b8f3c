package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
)

type oneDeploy struct {
	InEnv
	ID string `path:"id" maxLength:"100"`
}

func (a *API) registerDeploys() {
	const path, tag = envPath + "/deploys", "deploys"
	handle(a, needs(identity.DeployCreate), op{id: "createDeploy", method: http.MethodPost, path: path, tag: tag, summary: "Make a release and begin its deploy; what does not exist yet is made", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Keyed
			Body api.NewDeploy
		}) (*body[api.Deploy], error) {
			b := in.Body
			d, err := a.control.Deploys.Create(ctx, c.Actor, in.ref(), control.NewDeploy{
				Image: b.Image, Function: b.Function, Build: b.Build, Static: b.Static, Revision: b.Revision, Processes: b.Processes, Volumes: b.Volumes, Variables: b.Variables, Required: b.Required, Secrets: b.Secrets,
				Domains: b.Domains, Jobs: b.Jobs, Scale: b.Scale, Project: b.Project, Kind: b.Kind, Message: b.Message, IdempotencyKey: in.Key,
			})
			return answer(api.Deploy(d), err)
		})
	handle(a, needs(identity.AppRead), op{id: "listDeploys", method: http.MethodGet, path: path, tag: tag, summary: "List a workload's deploys, newest first"},
		func(ctx context.Context, c caller, in *envListed) (*body[api.List[api.Deploy]], error) {
			l, err := a.control.Deploys.List(ctx, c.Actor, in.ref(), in.page())
			return answer(listOf(l, wireDeploy), err)
		})
	handle(a, needs(identity.AppRead), op{id: "getDeploy", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Show a deploy with its phases and outcome"},
		func(ctx context.Context, c caller, in *oneDeploy) (*body[api.Deploy], error) {
			d, err := a.control.Deploys.Get(ctx, c.Actor, in.ref(), in.ID)
			return answer(api.Deploy(d), err)
		})
	handle(a, needs(identity.DeployCreate), op{id: "cancelDeploy", method: http.MethodPost, path: path + "/{id}/cancel", tag: tag, summary: "Give a deploy up and go back to what served", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *oneDeploy) (*body[api.Deploy], error) {
			d, err := a.control.Deploys.Cancel(ctx, c.Actor, in.ref(), in.ID)
			return answer(api.Deploy(d), err)
		})
	handle(a, needs(identity.DeployCreate), op{id: "rollback", method: http.MethodPost, path: envPath + "/rollback", tag: tag, summary: "Begin a deploy of an earlier release", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Keyed
			Body *api.Rollback
		}) (*body[api.Deploy], error) {
			b := or(in.Body)
			d, err := a.control.Deploys.Rollback(ctx, c.Actor, in.ref(), b.Release, control.DeployOptions{Message: b.Message, IdempotencyKey: in.Key})
			return answer(api.Deploy(d), err)
		})
	handle(a, needs(identity.DeployCreate), op{id: "restart", method: http.MethodPost, path: envPath + "/restart", tag: tag, summary: "Replace every replica by a fresh one of the same release", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Keyed
			Body *api.DeployOptions
		}) (*body[api.Deploy], error) {
			d, err := a.control.Deploys.Restart(ctx, c.Actor, in.ref(), control.DeployOptions{Message: or(in.Body).Message, IdempotencyKey: in.Key})
			return answer(api.Deploy(d), err)
		})
}

// or returns what p points to, or the zero value: a body that was left out.
func or[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
