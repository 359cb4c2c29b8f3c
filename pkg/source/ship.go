package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// Ship deploys a tree as its pandabox.toml says and returns at once, as control.Deploys.Create does: a container app or
// site is built from it, a function is bundled. What is wrong with it is a *model.Error.
func (s *Service) Ship(ctx context.Context, actor model.Actor, a Arrival) (control.Deploy, error) {
	m, dir, err := a.load()
	if err != nil {
		return control.Deploy{}, err
	}
	ref := control.Ref{Org: a.Org, App: a.App, Env: a.Env}
	if ref.App == "" {
		ref.App = m.App
	}
	if ref.App == "" {
		return control.Deploy{}, model.Invalid("no app is named").WithHint(`write app = "shop" into pandabox.toml`)
	}
	if ref.Env == "" {
		ref.Env = manifest.Production
	}
	n, err := s.newDeploy(ctx, actor, ref, a, m, dir)
	if err != nil {
		return control.Deploy{}, err
	}
	return s.cfg.Control.Deploys.Create(ctx, actor, ref, n)
}

// load reads what the app's folder of the tree says about it. No link in the tree leads out of it.
func (a Arrival) load() (*manifest.Manifest, string, error) {
	if err := model.CheckDir("dir", a.Dir); err != nil {
		return nil, "", err
	}
	root, err := filepath.EvalSymlinks(a.Tree)
	if err != nil {
		return nil, "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(a.Dir)))
	inside, _ := filepath.Rel(root, dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !filepath.IsLocal(inside) {
		return nil, "", model.NotFound("there is no folder %s in the source", a.Dir).WithHint("correct it: pandabox track --dir")
	} else if err != nil {
		return nil, "", err
	}
	for _, name := range []string{manifest.FileName, manifest.ProcfileName, manifest.AppJSONName, "package.json", "Dockerfile"} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err == nil && !st.Mode().IsRegular() {
			return nil, "", model.Invalid("%s is no regular file", path.Join(a.Dir, name)).WithHint("put the file itself there")
		}
	}
	m, err := manifest.Load(dir)
	return m, dir, err
}

// newDeploy uploads what the folder says is to run, and returns what to ask for.
func (s *Service) newDeploy(ctx context.Context, actor model.Actor, ref control.Ref, a Arrival, m *manifest.Manifest, dir string) (control.NewDeploy, error) {
	var build *model.BuildSpec
	if m.Kind != model.KindFunction && m.For(ref.Env).Image == "" {
		spec, err := s.source(ctx, actor, ref, dir, m)
		if err != nil {
			return control.NewDeploy{}, err
		}
		build = &spec
	}
	set := m.For(ref.Env)
	n := control.NewDeploy{
		Build: build, Static: set.Static, Processes: set.Processes, Volumes: set.Volumes, Variables: set.Variables, Required: set.Required,
		Secrets: set.Secrets, Domains: set.Domains, Jobs: set.Jobs, Project: m.Project, Kind: m.Kind, Message: a.Message, IdempotencyKey: a.IdempotencyKey,
	}
	if a.Revision != (model.Revision{}) {
		n.Revision = &a.Revision
	}
	switch {
	case set.Function != nil:
		f, err := s.function(ctx, actor, ref, a.Tree, dir, *set.Function)
		if err != nil {
			return n, err
		}
		n.Function = f
	case build == nil:
		n.Image = model.Image{Ref: set.Image}
	}
	return n, nil
}

// source uploads the app's folder and finds out how it is built.
func (s *Service) source(ctx context.Context, actor model.Actor, ref control.Ref, dir string, m *manifest.Manifest) (model.BuildSpec, error) {
	held, err := s.upload(ctx, actor, ref.Org, dir)
	if err != nil {
		return model.BuildSpec{}, err
	}
	spec := m.For(ref.Env).Build.On(held.Digest, "")
	p, err := s.cfg.Control.Sources.Plan(ctx, actor, ref.Org, ref.App, m.Kind, spec)
	if err == nil && p.Static() {
		m.AsStatic()
	}
	return spec, err
}

// upload packs a tree into the box's store of sources.
func (s *Service) upload(ctx context.Context, actor model.Actor, org, tree string) (model.Source, error) {
	t, err := pack.LookAll(ctx, tree)
	if err != nil {
		return model.Source{}, err
	}
	r, w := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		_, err := t.Pack(ctx, w, nil)
		_ = w.CloseWithError(err)
	}()
	held, err := s.cfg.Control.Sources.Import(ctx, actor, org, r)
	_ = r.CloseWithError(io.ErrClosedPipe)
	<-packed
	return held, err
}
