package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

func (a *API) registerEnvironments() {
	a.registerTracking()
	a.registerApprovals()
	a.registerPromote()
	a.registerPreviews()
}

func (a *API) registerTracking() {
	const tag = "environments"
	handle(a, needs(identity.AppRead), op{id: "listTracking", method: http.MethodGet, path: appPath + "/tracking", tag: tag, summary: "List which pushes an app's environments are deployed by"},
		func(ctx context.Context, c caller, in *InApp) (*body[api.Items[api.EnvTracking]], error) {
			all, err := a.control.Trackings.List(ctx, c.Actor, in.Org, in.App)
			out := api.Items[api.EnvTracking]{Items: []api.EnvTracking{}}
			for _, t := range all {
				out.Items = append(out.Items, api.EnvTracking(t))
			}
			return answer(out, err)
		})
	handle(a, needs(identity.DeployCreate), op{id: "setTracking", method: http.MethodPut, path: envPath + "/tracking", tag: tag, summary: "Say which pushes are deployed to an environment"},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Body model.Tracking
		}) (*body[api.EnvTracking], error) {
			t, err := a.control.Trackings.Set(ctx, c.Actor, in.ref(), in.Body)
			return answer(api.EnvTracking(t), err)
		})
	handle(a, needs(identity.EnvironmentProtect), op{id: "protectEnvironment", method: http.MethodPut, path: envPath + "/protection", tag: tag, summary: "Say whether deploys to an environment have to be approved"},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Body api.Protection
		}) (*body[model.Environment], error) {
			return answer(a.control.Protections.Set(ctx, c.Actor, in.ref(), in.Body.Protected))
		})
}

type oneApproval struct {
	InOrg
	ID string `path:"id" maxLength:"100"`
}

func (a *API) registerApprovals() {
	const path, tag = "/v1/orgs/{org}/approvals", "approvals"
	handle(a, needs(identity.AppRead), op{id: "listApprovals", method: http.MethodGet, path: path, tag: tag, summary: "List deploys that wait, or waited, for approval, newest first"},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Paged
		}) (*body[api.List[api.Approval]], error) {
			l, err := a.control.Approvals.List(ctx, c.Actor, in.Org, in.page())
			return answer(listOf(l, func(v model.Approval) api.Approval { return v }), err)
		})
	handle(a, needs(identity.DeployApprove), op{id: "approveDeploy", method: http.MethodPost, path: path + "/{id}/approve", tag: tag, summary: "Begin a deploy that waits for approval", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *oneApproval) (*body[api.Deploy], error) {
			d, err := a.control.Approvals.Approve(ctx, c.Actor, in.Org, in.ID)
			return answer(api.Deploy(d), err)
		})
	handle(a, needs(identity.DeployApprove), op{id: "refuseDeploy", method: http.MethodPost, path: path + "/{id}/refuse", tag: tag, summary: "Refuse a deploy that waits for approval"},
		func(ctx context.Context, c caller, in *oneApproval) (*body[api.Approval], error) {
			return answer(a.control.Approvals.Refuse(ctx, c.Actor, in.Org, in.ID))
		})
}

func (a *API) registerPromote() {
	const tag = "deploys"
	handle(a, needs(identity.AppRead), op{id: "planPromote", method: http.MethodPost, path: envPath + "/promote/plan", tag: tag, summary: "Tell what promoting another environment's release to this one would do"},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Body api.Promote
		}) (*body[api.Promotion], error) {
			p, err := a.control.Promotions.Plan(ctx, c.Actor, in.ref(), in.Body.From)
			return answer(api.Promotion(p), err)
		})
	handle(a, needs(identity.DeployCreate), op{id: "promote", method: http.MethodPost, path: envPath + "/promote", tag: tag, summary: "Deploy what another environment serves: the same digest, with this one's variables", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Keyed
			Body api.Promote
		}) (*body[api.Deploy], error) {
			d, err := a.control.Promotions.Create(ctx, c.Actor, in.ref(), in.Body.From, in.Body.Release, control.DeployOptions{Message: in.Body.Message, IdempotencyKey: in.Key})
			return answer(api.Deploy(d), err)
		})
}

func (a *API) registerPreviews() {
	const path, tag = appPath + "/previews", "previews"
	handle(a, needs(identity.AppRead), op{id: "listPreviews", method: http.MethodGet, path: path, tag: tag, summary: "List an app's environments of pull requests"},
		func(ctx context.Context, c caller, in *InApp) (*body[api.Items[api.AppPreview]], error) {
			all, err := a.control.Previews.List(ctx, c.Actor, in.Org, in.App)
			out := api.Items[api.AppPreview]{Items: []api.AppPreview{}}
			for _, p := range all {
				out.Items = append(out.Items, api.AppPreview(p))
			}
			return answer(out, err)
		})
	handle(a, needs(identity.DeployCreate), op{id: "removePreview", method: http.MethodDelete, path: path + "/{env}", tag: tag, summary: "Remove a preview with all that is in it", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *InEnv) (*struct{}, error) {
			return nil, a.control.Previews.Remove(ctx, c.Actor, in.ref())
		})
	handle(a, needs(identity.AppRead), op{id: "getPreviewing", method: http.MethodGet, path: appPath + "/previewing", tag: tag, summary: "Show how an app's previews are made"},
		func(ctx context.Context, c caller, in *InApp) (*body[model.Previewing], error) {
			return answer(a.control.Previews.Settings(ctx, c.Actor, in.Org, in.App))
		})
	handle(a, needs(identity.DeployApprove), op{id: "setPreviewing", method: http.MethodPut, path: appPath + "/previewing", tag: tag, summary: "Say how an app's previews are made", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *struct {
			InApp
			Body model.Previewing
		}) (*struct{}, error) {
			return nil, a.control.Previews.Configure(ctx, c.Actor, in.Org, in.App, in.Body)
		})
}
