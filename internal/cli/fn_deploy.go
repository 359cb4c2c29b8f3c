package cli

import (
	"bytes"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) fnDeploy() *cobra.Command {
	var s shipment
	cmd := &cobra.Command{
		Use: "deploy", Short: "Ship the folder's function", Args: nothing,
		Long: `Bundle the folder's function, upload it, and wait until it serves. What throws at its top level fails the deploy:
the release before it goes on serving and the exit code is 5. pandabox deploy does the same in a folder with a function.`,
		Example: `  pandabox fn deploy
  pandabox fn deploy -e staging --message "try the new greeting"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, m, err := sh.functionFolder()
			if err != nil {
				return err
			}
			return sh.ship(cmd.Context(), dir, m, s)
		},
	}
	cmd.Flags().StringVarP(&s.message, "message", "m", "", "why, for the record")
	s.flags(cmd)
	return sh.aboutApp(cmd)
}

// functionFolder returns the folder the command runs in and what it says, once that is, or may be, a function.
func (sh *shell) functionFolder() (string, *manifest.Manifest, error) {
	dir, err := sh.projectDir()
	if err != nil {
		return "", nil, err
	}
	m, err := manifest.Load(dir)
	if err != nil {
		return "", nil, err
	}
	if !m.AsFunction() {
		return "", nil, model.Invalid("the app in %s is no function, its kind is %s", dir, m.Kind).
			WithHint(`ship it with pandabox deploy; a function has kind = "function", or [function], in %s`, manifest.FileName)
	}
	return dir, m, nil
}

// bundle bundles a folder's function.
func (sh *shell) bundle(ctx context.Context, dir string, f manifest.Function) (*bundle.Bundle, error) {
	p := sh.progress()
	defer p.Close()
	began := time.Now()
	p.step("bundle", f.Main, began)
	b, err := bundle.Build(ctx, dir, bundle.Options{Main: f.Main, Runtime: f.Runtime})
	if err != nil {
		p.end(false, "bundle", f.Main, time.Since(began))
		return nil, err
	}
	p.end(true, "bundle", b.Source+", "+size(b.Size), time.Since(began))
	for _, w := range b.Warnings {
		sh.say("    warning: %s", printable(w))
	}
	return b, nil
}

// uploadFunction gives a bundle to the box and returns what to deploy.
func (sh *shell) uploadFunction(ctx context.Context, c *client.Client, b *bundle.Bundle, f manifest.Function) (*model.Function, error) {
	p := sh.progress()
	defer p.Close()
	began := time.Now()
	p.step("upload", size(b.Size), began)
	var tar bytes.Buffer
	if err := b.Write(&tar); err != nil {
		return nil, model.Errorf(model.KindInternal, "the bundle cannot be written").Wrap(err)
	}
	held, err := c.ImportFunction(ctx, &tar)
	detail := size(b.Size)
	if err == nil {
		detail = shortDigest(held.Digest)
	}
	p.end(err == nil, "upload", detail, time.Since(began))
	if err != nil {
		return nil, err
	}
	out := f.Function
	out.Digest, out.Size, out.Runtime = held.Digest, held.Size, held.Runtime
	return &out, nil
}

// shortDigest writes "sha256:3fa9…" of a digest.
func shortDigest(d string) string {
	const shown = len("sha256:") + 12
	if len(d) <= shown {
		return d
	}
	return d[:shown] + "…"
}
