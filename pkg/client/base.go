package client

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// AddBaseImages streams an archive of images for builds to begin with to the box; name, unless "", is for its one image.
// progress is as that of ImportImage.
func (c *Client) AddBaseImages(ctx context.Context, name string, r io.Reader, progress func(sent int64)) ([]model.BaseImage, error) {
	l, err := importTar[api.Items[model.BaseImage]](ctx, c, path("box", "base-images")+"?"+url.Values{"name": {name}}.Encode(), "the image", r, progress)
	return l.Items, err
}

// BaseImages returns the images that builds find on the box without a registry, by name.
func (c *Client) BaseImages(ctx context.Context) ([]model.BaseImage, error) {
	l, err := do[api.Items[model.BaseImage]](ctx, c, call{method: http.MethodGet, path: path("box", "base-images")})
	return l.Items, err
}

// RemoveBaseImage forgets a base image.
func (c *Client) RemoveBaseImage(ctx context.Context, name string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: path("box", "base-images"), query: url.Values{"name": {name}}})
	return err
}
