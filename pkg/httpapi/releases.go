package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
)

func (a *API) registerReleases() {
	const path, tag = envPath + "/releases", "releases"
	handle(a, needs(identity.AppRead), op{id: "listReleases", method: http.MethodGet, path: path, tag: tag, summary: "List a workload's releases, newest first"},
		func(ctx context.Context, c caller, in *envListed) (*body[api.List[api.Release]], error) {
			l, err := a.control.Releases.List(ctx, c.Actor, in.ref(), in.page())
			return answer(listOf(l, func(r control.Release) api.Release { return api.Release(r) }), err)
		})
	handle(a, needs(identity.AppRead), op{id: "getRelease", method: http.MethodGet, path: path + "/{number}", tag: tag, summary: "Show a release"},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Number int `path:"number" minimum:"1"`
		}) (*body[api.Release], error) {
			r, err := a.control.Releases.Get(ctx, c.Actor, in.ref(), in.Number)
			return answer(api.Release(r), err)
		})
	handle(a, needs(identity.AppScale), op{id: "scale", method: http.MethodPut, path: envPath + "/scale", tag: "workloads", summary: "Set how many replicas run and what each may use"},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Body api.Scaling
		}) (*body[api.Workload], error) {
			w, err := a.control.Scale.Set(ctx, c.Actor, in.ref(), in.Body.Processes)
			return answer(wireWorkload(w), err)
		})
}
