package httpapi

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// OneBuild names a build of a workload.
type OneBuild struct {
	InEnv
	ID string `path:"id" maxLength:"100" doc:"the build's id, or newest"`
}

func (o OneBuild) id() string {
	if o.ID == "newest" {
		return ""
	}
	return o.ID
}

// BuildLogInput chooses the lines of a build's log.
type BuildLogInput struct {
	OneBuild
	Skip   int  `query:"skip" minimum:"0" doc:"not the first so many lines"`
	Follow bool `query:"follow" doc:"go on until the build is over"`
}

func (a *API) registerBuilds() {
	const path, tag = envPath + "/builds", "builds"
	stream(a, needs(identity.DeployCreate), op{
		id: "importSource", method: http.MethodPost, path: "/v1/orgs/{org}/sources", tag: tag, summary: "Upload source code as tar in zstd", status: http.StatusCreated,
	}, func(o *huma.Operation) {
		o.RequestBody = binary("application/x-tar")
		o.Responses["201"] = &huma.Response{Description: "its digest goes into the build of a new deploy", Content: map[string]*huma.MediaType{"application/json": {}}}
		a.schemaOf(o, "201", "application/json", model.Source{})
	}, func(_ context.Context, c caller, in *InOrg) error {
		return receive(a, c, api.MaxSource, func(ctx context.Context, r io.Reader) (model.Source, error) {
			return a.control.Sources.Import(ctx, c.Actor, in.Org, r)
		})
	})
	handle(a, needs(identity.DeployCreate), op{id: "planSource", method: http.MethodPost, path: "/v1/orgs/{org}/sources/plan", tag: tag, summary: "Tell how an uploaded source would be built"},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Body api.PlanSource
		}) (*body[model.BuildPlan], error) {
			return answer(a.control.Sources.Plan(ctx, c.Actor, in.Org, in.Body.App, in.Body.Kind, in.Body.Build))
		})
	handle(a, needs(identity.AppRead), op{id: "listBuilds", method: http.MethodGet, path: path, tag: tag, summary: "List a workload's builds, newest first"},
		func(ctx context.Context, c caller, in *envListed) (*body[api.List[api.Build]], error) {
			l, err := a.control.Builds.List(ctx, c.Actor, in.ref(), in.page())
			return answer(listOf(l, func(b model.Build) api.Build { return b }), err)
		})
	handle(a, needs(identity.AppRead), op{id: "getBuild", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Show a build"},
		func(ctx context.Context, c caller, in *OneBuild) (*body[api.Build], error) {
			return answer(a.control.Builds.Get(ctx, c.Actor, in.ref(), in.id()))
		})
	handle(a, needs(identity.DeployCreate), op{id: "cancelBuild", method: http.MethodPost, path: path + "/{id}/cancel", tag: tag, summary: "Give a build and its deploy up", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *OneBuild) (*body[api.Build], error) {
			return answer(a.control.Builds.Cancel(ctx, c.Actor, in.ref(), in.id()))
		})
	stream(a, needs(identity.LogRead), op{
		id: "readBuildLog", method: http.MethodGet, path: path + "/{id}/log", tag: tag, summary: "Read a build's log",
	}, a.describeRecords(model.BuildLine{}), func(_ context.Context, c caller, in *BuildLogInput) error {
		return records(a, c, func(ctx context.Context, yield func(model.BuildLine) error) error {
			return a.control.Builds.Log(ctx, c.Actor, in.ref(), in.id(), in.Skip, in.Follow, yield)
		})
	})
	handle(a, needs(identity.BuildPrune), op{id: "pruneBuilds", method: http.MethodDelete, path: "/v1/box/build-cache", tag: tag, summary: "Remove the build cache"},
		func(ctx context.Context, c caller, _ *struct{}) (*body[api.Pruned], error) {
			n, err := a.control.Builds.Prune(ctx, c.Actor)
			return answer(api.Pruned{Bytes: n}, err)
		})
}
