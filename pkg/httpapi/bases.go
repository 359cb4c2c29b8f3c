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

// NamedBase names a base image.
type NamedBase struct {
	Name string `query:"name" maxLength:"300" example:"golang:1.26" doc:"as behind FROM"`
}

func (a *API) registerBases() {
	const path, tag = "/v1/box/base-images", "builds"
	stream(a, needs(identity.BuildBases), op{
		id: "addBaseImages", method: http.MethodPost, path: path, tag: tag, summary: "Add images for builds to begin with, as OCI layout or docker archive", status: http.StatusCreated,
	}, func(o *huma.Operation) {
		o.RequestBody = binary("application/x-tar")
		o.Responses["201"] = &huma.Response{Description: "what was added", Content: map[string]*huma.MediaType{"application/json": {}}}
		a.schemaOf(o, "201", "application/json", api.Items[model.BaseImage]{})
	}, func(_ context.Context, c caller, in *NamedBase) error {
		return receive(a, c, a.config.MaxImage, func(ctx context.Context, r io.Reader) (api.Items[model.BaseImage], error) {
			all, err := a.control.Bases.Add(ctx, c.Actor, in.Name, r)
			return api.Items[model.BaseImage]{Items: all}, err
		})
	})
	handle(a, needs(identity.BuildBases), op{id: "listBaseImages", method: http.MethodGet, path: path, tag: tag, summary: "List the images that builds find without a registry"},
		func(ctx context.Context, c caller, _ *struct{}) (*body[api.Items[model.BaseImage]], error) {
			all, err := a.control.Bases.List(ctx, c.Actor)
			return answer(api.Items[model.BaseImage]{Items: all}, err)
		})
	handle(a, needs(identity.BuildBases), op{id: "removeBaseImage", method: http.MethodDelete, path: path, tag: tag, summary: "Forget a base image", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *NamedBase) (*struct{}, error) {
			return nil, a.control.Bases.Remove(ctx, c.Actor, in.Name)
		})
}
