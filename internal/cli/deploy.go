package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) deploy() *cobra.Command {
	var image, message string
	var w waiting
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Ship a new release",
		Long: `Ship a new release of the folder's app and wait until it serves. If it never becomes healthy, the release
before it goes on serving and the exit code is 5.

What runs is said by pandabox.toml and Procfile, where they are. A folder with a function ships that, see pandabox fn.
--image is a registry reference, the path of an
image archive (OCI layout or docker save, also as a folder), or - for an archive on standard input.`,
		Example: `  pandabox deploy --image registry.example.com/shop:1.2
  docker save shop | pandabox deploy -a shop --image -
  pandabox deploy --image ./image.tar -e staging --message "try the new cart"`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.runDeploy(cmd.Context(), image, message, w)
		},
	}
	cmd.Flags().StringVar(&image, "image", "", "what to run: a reference, the path of an archive, or -")
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the record")
	w.flags(cmd)
	return sh.aboutApp(cmd)
}

func (sh *shell) runDeploy(ctx context.Context, image, message string, w waiting) error {
	dir, err := sh.projectDir()
	if err != nil {
		return err
	}
	m, err := manifest.Load(dir)
	if err != nil {
		return err
	}
	return sh.ship(ctx, dir, m, image, message, w)
}

// ship deploys what a folder says: its function, or an image.
func (sh *shell) ship(ctx context.Context, dir string, m *manifest.Manifest, image, message string, w waiting) error {
	began := time.Now()
	if image != "" && !m.AsImage() {
		return model.Invalid("a function runs no image").WithHint("pandabox deploy without --image bundles the code of %s", dir)
	}
	ref, inferred, err := sh.infer(m)
	if err != nil {
		return err
	}
	settings := m.For(ref.Env)
	base := sh.dir
	if image == "" {
		image, base = settings.Image, dir
	}
	f := settings.Function
	if image == "" && f == nil {
		return model.Invalid("there is nothing to deploy yet").
			WithWhy("no image is named, and this version does not build from source").
			WithHint("pandabox deploy --image REF, or --image ./image.tar")
	}
	c, err := sh.connect()
	if err != nil {
		return err
	}
	if inferred && !sh.json {
		sh.say("  → %s, %s", ref.App, ref.Env)
	}
	n := newDeploy(m, settings, model.Image{Ref: image}, message)
	switch {
	case f != nil:
		b, err := sh.build(ctx, dir, *f)
		if err != nil {
			return err
		}
		if n.Function, err = sh.uploadFunction(ctx, c, b, *f); err != nil {
			return err
		}
	case isArchive(image):
		if n.Image, err = sh.upload(ctx, c, image, base); err != nil {
			return err
		}
	}
	d, err := c.CreateDeploy(ctx, ref, n)
	if err != nil {
		return unsure(ctx, err, ref)
	}
	return sh.follow(ctx, c, d, w, began)
}

// newDeploy makes of a folder's settings what the box is asked for.
func newDeploy(m *manifest.Manifest, s manifest.Settings, image model.Image, message string) api.NewDeploy {
	return api.NewDeploy{
		Image: image, Processes: s.Processes, Volumes: s.Volumes, Variables: s.Variables, Required: s.Required,
		Secrets: s.Secrets, Domains: s.Domains, Jobs: s.Jobs, Project: m.Project, Kind: m.Kind, Message: message,
	}
}
