package cli

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/model"
)

// building is what the command line says of how a folder is built, over what pandabox.toml says.
type building struct {
	dockerfile, target string
	platform           string
	args, secrets      []string // NAME=value; NAME
	noCache            bool
}

func (b *building) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&b.dockerfile, "dockerfile", "", "the Dockerfile to build from (default: as pandabox.toml says, or found out)")
	f.StringVar(&b.target, "target", "", "the stage of the Dockerfile to build (default: the last)")
	f.StringVar(&b.platform, "platform", "", "what to build for, linux/amd64: a box builds for itself only, and refuses others (default: the box's own)")
	f.StringArrayVar(&b.args, "build-arg", nil, "a build argument, NAME=value; it can be read in the image, so no secrets; may be repeated")
	f.StringArrayVar(&b.secrets, "build-secret", nil, "a variable of the app for RUN --mount=type=secret,id=NAME; may be repeated")
	f.BoolVar(&b.noCache, "no-cache", false, "run every step of the build again")
}

// given returns a flag that is about a build, "" where there is none.
func (b *building) given() string {
	switch {
	case b.dockerfile != "":
		return "--dockerfile"
	case b.target != "":
		return "--target"
	case b.platform != "":
		return "--platform"
	case len(b.args) > 0:
		return "--build-arg"
	case len(b.secrets) > 0:
		return "--build-secret"
	case b.noCache:
		return "--no-cache"
	}
	return ""
}

// over returns spec with what the flags say. dir is the app's folder; a path is meant from where the command runs.
func (b *building) over(sh *shell, dir string, spec model.BuildSpec) (model.BuildSpec, error) {
	if b.dockerfile != "" {
		at, err := filepath.Abs(sh.path(b.dockerfile))
		if err == nil {
			at, err = filepath.Rel(dir, at)
		}
		if err != nil || !filepath.IsLocal(at) {
			return spec, model.Invalid("--dockerfile %s is not in the app's folder, %s", b.dockerfile, dir).WithHint("what is built comes from that folder: put the Dockerfile into it")
		}
		spec.Dockerfile = filepath.ToSlash(at)
	}
	if b.platform != "" {
		spec.Platform = b.platform
	}
	if b.target != "" {
		spec.Target = b.target
	}
	spec.NoCache = b.noCache
	spec.Args = maps.Clone(spec.Args)
	for _, a := range b.args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return spec, model.Invalid("--build-arg %s has no value", a).WithHint("write --build-arg %s=value", a)
		}
		if err := model.CheckVariable(name, value); err != nil {
			return spec, err
		}
		if spec.Args == nil {
			spec.Args = map[string]string{}
		}
		spec.Args[name] = value
	}
	for _, name := range b.secrets {
		if err := model.CheckVariable(name, ""); err != nil {
			return spec, err
		}
		if !slices.Contains(spec.Secrets, name) {
			spec.Secrets = append(slices.Clip(spec.Secrets), name)
		}
	}
	return spec, nil
}
