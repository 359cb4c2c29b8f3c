package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

const (
	appsPath = "/v1/orgs/{org}/apps"
	appPath  = appsPath + "/{app}"
	envPath  = appPath + "/envs/{env}"
)

// listed asks for a list of an org.
type listed struct {
	InOrg
	Paged
}

// envListed asks for a list of a workload.
type envListed struct {
	InEnv
	Paged
}

func (a *API) registerApps() {
	handle(a, needs(identity.AppRead), op{id: "listApps", method: http.MethodGet, path: appsPath, tag: "apps", summary: "List the org's apps by name"},
		func(ctx context.Context, c caller, in *listed) (*body[api.List[api.App]], error) {
			l, err := a.control.Apps.List(ctx, c.Actor, in.Org, in.page())
			return answer(listOf(l, wireApp), err)
		})
	handle(a, needs(identity.AppRead), op{id: "getApp", method: http.MethodGet, path: appPath, tag: "apps", summary: "Show an app and where it runs"},
		func(ctx context.Context, c caller, in *InApp) (*body[api.App], error) {
			app, err := a.control.Apps.Get(ctx, c.Actor, in.ref())
			return answer(wireApp(app), err)
		})
	handle(a, needs(identity.AppDestroy), op{id: "destroyApp", method: http.MethodDelete, path: appPath, tag: "apps", summary: "Remove an app with everything it has", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *InApp) (*struct{}, error) {
			return nil, a.control.Apps.Destroy(ctx, c.Actor, in.ref(), true)
		})
	handle(a, needs(identity.AppDestroy), op{id: "destroyEnv", method: http.MethodDelete, path: envPath, tag: "apps", summary: "Remove an app from one environment", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *InEnv) (*struct{}, error) {
			return nil, a.control.Apps.Destroy(ctx, c.Actor, in.ref(), false)
		})
	handle(a, needs(identity.AppRead), op{id: "getWorkload", method: http.MethodGet, path: envPath, tag: "workloads", summary: "Show an app in one environment, with its replicas and what they use"},
		func(ctx context.Context, c caller, in *InEnv) (*body[api.Workload], error) {
			w, err := a.control.Workloads.Status(ctx, c.Actor, in.ref())
			return answer(wireWorkload(w), err)
		})
	handle(a, needs(identity.AppRead), op{id: "listWorkloads", method: http.MethodGet, path: "/v1/orgs/{org}/workloads", tag: "workloads", summary: "List the org's workloads by app and environment"},
		func(ctx context.Context, c caller, in *listed) (*body[api.List[api.Workload]], error) {
			l, err := a.control.Workloads.List(ctx, c.Actor, in.Org, in.page())
			return answer(listOf(l, wireWorkload), err)
		})
	handle(a, needs(identity.AuditRead), op{id: "listAudit", method: http.MethodGet, path: "/v1/orgs/{org}/audit", tag: "audit", summary: "List who did what, newest first"},
		func(ctx context.Context, c caller, in *listed) (*body[api.List[api.AuditEvent]], error) {
			l, err := a.control.Audit.List(ctx, c.Actor, in.Org, in.page())
			return answer(listOf(l, func(e model.AuditEvent) api.AuditEvent { return e }), err)
		})
}
