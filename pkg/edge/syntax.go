package edge

import (
	"github.com/evanw/esbuild/pkg/api"

	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/model"
)

// checkSyntax refuses JavaScript that cannot be parsed. Who uploads it is told at once, and not by a deploy that fails.
func checkSyntax(b *bundle.Bundle) error {
	if b.Runtime != model.RuntimeJS {
		return nil // bundle.Read has looked at modules
	}
	r := api.Transform(string(b.Main), api.TransformOptions{Loader: api.LoaderJS, Format: api.FormatESModule, LogLevel: api.LogLevelSilent})
	if len(r.Errors) == 0 {
		return nil
	}
	e := model.Invalid("the function's code cannot be parsed").WithHint("mend it and upload it again: pandabox fn deploy")
	if at := r.Errors[0].Location; at != nil {
		return e.WithWhy("%s, at line %d, column %d", r.Errors[0].Text, at.Line, at.Column+1)
	}
	return e.WithWhy("%s", r.Errors[0].Text)
}
