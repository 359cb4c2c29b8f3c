//go:build !linux

package cli

import (
	"context"
	"net/url"

	"github.com/pandabox/pandabox/pkg/model"
)

func (*shell) dev(context.Context, int, string, *url.URL) error {
	return model.Invalid("fn dev runs on Linux only").WithWhy("the engines of functions need it").
		WithHint("deploy to an environment of its own instead: pandabox fn deploy -e development")
}
