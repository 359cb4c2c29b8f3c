package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/platforms"

	"github.com/pandabox/pandabox/pkg/build"
	"github.com/pandabox/pandabox/pkg/build/plan"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/source"
	"github.com/pandabox/pandabox/pkg/source/archive"
	"github.com/pandabox/pandabox/pkg/static"
)

// builds joins what makes images and sites of source: the archives, the plans, BuildKit and the store of sites.
type builds struct {
	sources *archive.Store
	builder *build.Builder
	sites   *static.Store
	logs    buildLogs

	dir     string // whose disk it all is on
	freeMin int64  // bytes that builds leave free there
	places  *source.Places
}

// How many sources are unpacked at once, each of up to pack.MaxBytes, and how many of them may be one org's.
const (
	maxUnpacking   = 6
	maxUnpackingOf = 2
)

// unpacking waits for a place to unpack a source. Its context ends when the disk runs full meanwhile; whoever has the place
// calls leave.
func (b *builds) unpacking(ctx context.Context, org string) (_ context.Context, leave func(), err error) {
	give, err := b.places.Take(ctx, org)
	if err != nil {
		return nil, nil, err
	}
	if err := build.CheckSpace(b.dir, b.freeMin); err != nil {
		give()
		return nil, nil, err
	}
	ctx, end := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := build.CheckSpace(b.dir, b.freeMin); err != nil {
				end(err)
				return
			}
		}
	}()
	return ctx, func() {
		end(nil)
		<-watched
		give()
	}, nil
}

var (
	_ control.Sources     = (*builds)(nil)
	_ control.BuildEngine = (*builds)(nil)
)

// buildHost is the runtime as a builder sees it.
type buildHost struct{ *runtime.Runtime }

// Site implements build.Host.
func (h buildHost) Site(ctx context.Context, l model.Limits) (build.Site, error) {
	s, err := h.BuildSite(ctx, l)
	return build.Site(s), err
}

// newBuilds prepares building; BuildKit is started by the first build.
func newBuilds(ctx context.Context, c build.Config, sites *static.Store) (*builds, error) {
	b := &builds{dir: c.DataDir, freeMin: c.FreeMin, places: source.NewPlaces(maxUnpacking, maxUnpackingOf), sites: sites, logs: buildLogs{filepath.Join(c.DataDir, "build", "logs")}}
	if err := os.MkdirAll(b.logs.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of build logs: %w", err)
	}
	var err error
	if b.sources, err = archive.Open(filepath.Join(c.DataDir, "sources"), filepath.Join(c.DataDir, "build", "trees")); err != nil {
		return nil, err
	}
	if b.builder, err = build.New(ctx, c); err != nil {
		return nil, err
	}
	return b, nil
}

// Import implements control.Sources.
func (b *builds) Import(ctx context.Context, org string, r io.Reader) (model.Source, error) {
	ctx, leave, err := b.unpacking(ctx, org)
	if err != nil {
		return model.Source{}, err
	}
	defer leave()
	return b.sources.Import(ctx, r)
}

// Plan implements control.Sources.
func (b *builds) Plan(ctx context.Context, org string, spec model.BuildSpec, app string, kind model.AppKind) (model.BuildPlan, error) {
	ctx, leave, err := b.unpacking(ctx, org)
	if err != nil {
		return model.BuildPlan{}, err
	}
	defer leave()
	_, p, remove, err := b.open(ctx, spec, app, kind)
	if err != nil {
		return model.BuildPlan{}, err
	}
	remove()
	return model.BuildPlan{Name: p.String(), File: p.File, Dockerfile: p.Dockerfile, Output: p.Output, Reasons: p.Reasons}, nil
}

// open unpacks a source and finds out how it is built. Whoever asked calls remove when done with the folder.
func (b *builds) open(ctx context.Context, spec model.BuildSpec, app string, kind model.AppKind) (dir string, p *plan.Plan, remove func(), err error) {
	if err := checkPlatform(spec.Platform); err != nil {
		return "", nil, nil, err
	}
	tree, remove, err := b.sources.Tree(ctx, spec.Source)
	if err != nil {
		return "", nil, nil, err
	}
	if dir, err = inside(tree, spec.Dir); err == nil {
		p, err = detect(dir, spec, app, kind)
	}
	if err != nil {
		remove()
		return "", nil, nil, err
	}
	return dir, p, remove, nil
}

// checkPlatform refuses to build for another processor than the box's: what is built here runs here.
func checkPlatform(name string) error {
	if name == "" {
		return nil
	}
	p, err := platforms.Parse(name)
	if err == nil && platforms.Default().Match(p) {
		return nil
	}
	return model.Invalid("this box builds for %s, not for %s", platforms.Format(platforms.DefaultSpec()), name).
		WithWhy("it runs what it builds, on its own processor").WithHint("leave platform out; or build the image elsewhere and deploy that with --image")
}

func detect(dir string, spec model.BuildSpec, app string, kind model.AppKind) (*plan.Plan, error) {
	root, err := os.OpenRoot(dir) // a link in the source leads nowhere else
	if err != nil {
		return nil, fmt.Errorf("opening a source: %w", err)
	}
	defer func() { _ = root.Close() }()
	return plan.Detect(root.FS(), plan.Options{Dockerfile: spec.Dockerfile, Kind: kind, Output: spec.Output, App: app})
}

// inside returns a folder of a tree that no link leads out of.
func inside(tree, dir string) (string, error) {
	if dir == "" {
		return tree, nil
	}
	at, err := filepath.EvalSymlinks(filepath.Join(tree, filepath.FromSlash(dir)))
	rel, out := filepath.Rel(tree, at)
	if err != nil || out != nil || !filepath.IsLocal(rel) {
		return "", model.NotFound("there is no folder %s in the source", dir).WithHint("name it relative to the source's root")
	}
	return at, nil
}

// Build implements control.BuildEngine.
func (b *builds) Build(ctx context.Context, r control.BuildRequest) (out control.BuildResult, err error) {
	say, end, err := b.logs.writer(r.ID)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if r.Kind == model.KindStatic {
		if out, is, err := b.plain(ctx, r, say); is || err != nil {
			return out, err
		}
	}
	return b.run(ctx, r, say)
}

// plain takes a site from the source where there is nothing to build, and tells whether that is so.
func (b *builds) plain(ctx context.Context, r control.BuildRequest, say func(model.BuildLine)) (out control.BuildResult, is bool, err error) {
	ctx, leave, err := b.unpacking(ctx, r.Org)
	if err != nil {
		return out, false, err
	}
	defer leave()
	dir, p, remove, err := b.open(ctx, r.Spec, r.App, r.Kind)
	if err != nil {
		return out, false, err
	}
	defer remove()
	if p.Dockerfile != "" || p.File != "" {
		return out, false, nil
	}
	out, err = b.files(ctx, r, dir, p, say)
	return out, true, err
}

// run builds with BuildKit.
func (b *builds) run(ctx context.Context, r control.BuildRequest, say func(model.BuildLine)) (control.BuildResult, error) {
	step, isSite := "", false
	q := build.Request{
		ID: r.ID, Org: r.Org, Caches: r.Caches, Target: r.Spec.Target, Args: r.Spec.Args, Secrets: r.Secrets, Mask: r.Mask, NoCache: r.Spec.NoCache,
		Open: func(ctx context.Context) (string, *plan.Plan, func(), error) {
			dir, p, remove, err := b.open(ctx, r.Spec, r.App, r.Kind)
			isSite = err == nil && p.Static()
			return dir, p, remove, err
		},
		Log: func(l build.Line) {
			say(model.BuildLine(l))
			if r.Progress != nil && l.Step != "" && l.Step != step {
				step = l.Step
				r.Progress(0, l.Step+" "+l.Text)
			}
		},
	}
	sink := newSiteSink(func(files io.Reader) (*model.Static, error) {
		return served(r)(b.sites.Import(ctx, files))
	})
	q.Output = sink
	res, err := b.builder.Build(ctx, q)
	if err == nil && !isSite {
		return control.BuildResult{Image: res.Image, Steps: res.Steps, Cached: res.Cached}, nil
	}
	site, err := sink.end(err)
	if err != nil {
		return control.BuildResult{}, err
	}
	return control.BuildResult{Static: site, Steps: res.Steps, Cached: res.Cached}, nil
}

// files takes a site's files from the source as they are.
func (b *builds) files(ctx context.Context, r control.BuildRequest, dir string, p *plan.Plan, say func(model.BuildLine)) (control.BuildResult, error) {
	root, err := inside(dir, p.Output)
	if p.Output == "." {
		root, err = dir, nil
	}
	if err != nil {
		return control.BuildResult{}, err
	}
	site, err := served(r)(b.sites.ImportDir(ctx, root))
	if err != nil {
		say(model.BuildLine{At: time.Now().UTC(), Text: err.Error()})
		return control.BuildResult{}, err
	}
	say(model.BuildLine{At: time.Now().UTC(), Text: site.String()})
	return control.BuildResult{Static: site}, nil
}

// served returns what makes of a site that was kept one that is served as was asked for.
func served(r control.BuildRequest) func(digest string, s *static.Site, err error) (*model.Static, error) {
	return func(digest string, s *static.Site, err error) (*model.Static, error) {
		if err != nil {
			return nil, err
		}
		out := model.Static{Digest: digest, Files: len(s.Files), Bytes: s.Bytes}
		if r.Static != nil {
			out.SPA, out.KeepHTML = r.Static.SPA, r.Static.KeepHTML
		}
		return &out, nil
	}
}

// BuildLog implements control.BuildEngine.
func (b *builds) BuildLog(ctx context.Context, id string, follow bool, yield func(model.BuildLine) error) error {
	return b.logs.read(ctx, id, follow, yield)
}

// PruneBuilds implements control.BuildEngine.
func (b *builds) PruneBuilds(ctx context.Context) (int64, error) { return b.builder.Prune(ctx) }

// reclaim removes the sources and logs that nobody needs.
func (b *builds) reclaim(keep model.Keep, now time.Time) error {
	return errors.Join(b.sources.Reclaim(keep.Sources, now), b.logs.reclaim(keep.Builds, now))
}
