package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// shipment is what the command line says of a deploy.
type shipment struct {
	image, message string
	remoteOnly     bool
	build          building
	waiting
}

func (sh *shell) deploy() *cobra.Command {
	var s shipment
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Ship a new release",
		Long: `Ship a new release of the folder's app and wait until it serves. If it never becomes healthy, the release
before it goes on serving and the exit code is 5.

The folder is uploaded and built on the box: by its Dockerfile, or as its files say; pandabox build plan shows how.
What git, .pandaboxignore or .dockerignore leaves out stays behind. What runs is said by pandabox.toml and Procfile,
where they are. A folder with a function ships that, see pandabox fn.

--image deploys what is built already: a registry reference, the path of an image archive (OCI layout or docker save,
also as a folder), or - for an archive on standard input.

Ctrl-C before the build is over cancels the deploy; after that the deploy goes on, and it is said how to see it again.`,
		Example: `  pandabox deploy
  pandabox deploy -e staging --message "try the new cart"
  pandabox deploy --no-cache --build-arg VERSION=1.2
  pandabox deploy --image registry.example.com/shop:1.2
  docker save shop | pandabox deploy -a shop --image -`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.runDeploy(cmd.Context(), s)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.image, "image", "", "what to run instead of building: a reference, the path of an archive, or -")
	s.build.flags(cmd)
	f.BoolVar(&s.remoteOnly, "remote-only", false, "refuse what would be made on this machine: apps and sites are always built on the box, functions are bundled here")
	f.StringVarP(&s.message, "message", "m", "", "why, for the record")
	s.verboseFlag(cmd)
	s.flags(cmd)
	return sh.aboutApp(cmd)
}

func (sh *shell) runDeploy(ctx context.Context, s shipment) error {
	dir, err := sh.projectDir()
	if err != nil {
		return err
	}
	m, err := manifest.Load(dir)
	if err != nil {
		return err
	}
	return sh.ship(ctx, dir, m, s)
}

// ship deploys what a folder says: an image, its function, or what is built of it.
func (sh *shell) ship(ctx context.Context, dir string, m *manifest.Manifest, s shipment) error {
	began := time.Now()
	if err := s.fits(dir, m); err != nil {
		return err
	}
	ref, inferred, err := sh.infer(m)
	if err != nil {
		return err
	}
	image, base := s.image, sh.dir
	if image == "" {
		image, base = m.For(ref.Env).Image, dir
	}
	var src *sourceFolder
	if m.For(ref.Env).Function == nil && image == "" {
		if src, err = sh.lookAtSource(ctx, dir, m, ref, s.build); err != nil {
			return err
		}
		if src.plan.Static() {
			m.AsStatic()
		}
	} else if flag := s.build.given(); flag != "" {
		return model.Invalid("%s is about a build, and nothing is built", flag).WithHint("leave it out, or leave out the image to build %s", dir)
	}
	c, err := sh.connect()
	if err != nil {
		return err
	}
	if inferred && !sh.json {
		sh.say("  → %s, %s", ref.App, ref.Env)
	}
	settings := m.For(ref.Env)
	n := newDeploy(m, settings, model.Image{Ref: image}, s.message)
	n.Revision = pack.Revision(ctx, dir)
	switch {
	case src != nil:
		err = sh.addSource(ctx, c, src, settings, &n)
	case settings.Function != nil:
		err = sh.addFunction(ctx, c, dir, *settings.Function, &n)
	default:
		n.Revision = nil // the image may be of any code
		if isArchive(image) {
			n.Image, err = sh.upload(ctx, c, image, base)
		}
	}
	if err != nil {
		return err
	}
	d, err := createWhole(ctx, c, ref, n)
	if err != nil {
		return err
	}
	if ctx.Err() != nil && d.Approval == "" {
		return sh.giveUp(ctx, c, d, ref)
	}
	s.cancels = true
	return sh.follow(ctx, c, d, s.waiting, began)
}

// createTime bounds asking for a deploy: the box looks at the source meanwhile.
const createTime = 2 * time.Minute

// createWhole asks for a deploy and waits for the answer also when ctx is canceled, so that it is known what to cancel.
func createWhole(ctx context.Context, c *client.Client, ref client.Ref, n api.NewDeploy) (api.Deploy, error) {
	if interrupted(ctx, ctx.Err()) {
		return api.Deploy{}, nothingDeployed()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTime)
	defer cancel()
	return c.CreateDeploy(ctx, ref, n)
}

// fits refuses what cannot be done with the folder.
func (s *shipment) fits(dir string, m *manifest.Manifest) error {
	if s.image == "" {
		if m.Kind == model.KindFunction && s.remoteOnly {
			return model.Invalid("a function is bundled on this machine").WithHint("leave out --remote-only; bundling needs no tools")
		}
		return nil
	}
	if m.AsImage() {
		return nil
	}
	if m.Kind == model.KindStatic {
		return model.Invalid("a static site runs no image").WithHint("pandabox deploy without --image serves the files of %s", dir)
	}
	return model.Invalid("a function runs no image").WithHint("pandabox deploy without --image bundles the code of %s", dir)
}

// addSource uploads a folder and puts into n how it is built.
func (sh *shell) addSource(ctx context.Context, c *client.Client, f *sourceFolder, s manifest.Settings, n *api.NewDeploy) error {
	f.warn(&sh.output)
	src, err := sh.uploadSource(ctx, c, f.tree)
	if err != nil {
		return err
	}
	spec := f.spec
	spec.Source = src.Digest
	n.Build, n.Static = &spec, s.Static
	return nil
}

// addFunction bundles a folder's function, uploads it and puts it into n.
func (sh *shell) addFunction(ctx context.Context, c *client.Client, dir string, f manifest.Function, n *api.NewDeploy) error {
	b, err := sh.bundle(ctx, dir, f)
	if err == nil {
		n.Function, err = sh.uploadFunction(ctx, c, b, f)
	}
	return err
}

// newDeploy makes of a folder's settings what the box is asked for.
func newDeploy(m *manifest.Manifest, s manifest.Settings, image model.Image, message string) api.NewDeploy {
	return api.NewDeploy{
		Image: image, Processes: s.Processes, Volumes: s.Volumes, Variables: s.Variables, Required: s.Required,
		Secrets: s.Secrets, Domains: s.Domains, Jobs: s.Jobs, Project: m.Project, Kind: m.Kind, Message: message,
	}
}
