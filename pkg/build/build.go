//go:build linux

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"

	"github.com/pandabox/pandabox/pkg/build/plan"
	"github.com/pandabox/pandabox/pkg/model"
)

// Request is one build.
type Request struct {
	ID   string // unique: the build's control group and image are named by it
	Org  string // builds of different orgs take turns
	Dir  string // the source
	Plan *plan.Plan
	// Caches is whose results of earlier steps are used, and whose cache mounts (RUN --mount=type=cache): what one build
	// leaves there the next one takes for its own. Letters, digits and "-", at most 63.
	Caches string
	// Open, where it is set, gives Dir and Plan once it is this build's turn, so that builds that wait take no room on the
	// disk; close is called when the build is over. Output is only used where the plan is that of a static site.
	Open    func(ctx context.Context) (dir string, p *plan.Plan, close func(), err error)
	Target  string            // a stage; "": the last
	Args    map[string]string // build arguments: in the image's history, so no secrets
	Secrets map[string][]byte // for RUN --mount=type=secret,id=NAME; in no layer, and masked in the log
	Mask    []string          // other values that do not appear in the log
	NoCache bool

	Log    func(Line) // one line of the build's log, from one goroutine
	Output io.Writer  // of a static site: its files, as a tar archive; the result has no image then
}

// Line is a line of a build's log.
type Line struct {
	At   time.Time `json:"at"`
	Step string    `json:"step,omitempty"` // "[build 3/6]": the step it belongs to
	Text string    `json:"text"`
}

// Result is what a build made.
type Result struct {
	Image  model.Image // with its digest; zero for a static site
	Steps  int         // that the Dockerfile has
	Cached int         // of them, taken from the cache
	Took   time.Duration
}

var idForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// Build builds, once it is this build's turn. What is wrong with the source is a *model.Error with the last lines of the
// failing step; when ctx ends, every process of the build is killed before Build returns.
func (b *Builder) Build(ctx context.Context, r Request) (out *Result, err error) {
	if !idForm.MatchString(r.ID) {
		return nil, model.Invalid("%q is not the id of a build", r.ID)
	}
	log := newLog(r, b.cfg.LogMax)
	leave, err := b.queue.enter(ctx, r.Org, func(n int) { log.say("", fmt.Sprintf("waiting for %d other builds", n)) })
	if err != nil {
		return nil, canceled(err)
	}
	defer leave()
	// Of one that was called off, BuildKit may have recorded the image after it said that it had ended. None but this builds.
	if err := b.cfg.Host.DropImages(ctx, ImageName("")); err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		if left := b.cfg.Host.DropImages(context.WithoutCancel(ctx), ImageName(r.ID)); left != nil {
			err = errors.Join(err, left)
		}
	}()
	closeSource, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer closeSource()
	if err := r.checkLength(); err != nil {
		return nil, err
	}
	child, done, err := b.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	began := time.Now()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	timer := time.AfterFunc(b.cfg.Deadline, func() {
		end(model.Errorf(model.KindTimeout, "the build took longer than %s", b.cfg.Deadline).WithHint("make it do less, or raise build.deadline in the box's configuration"))
	})
	defer timer.Stop()
	watched := make(chan struct{})
	go func() { defer close(watched); b.watch(ctx, child, end) }()
	defer func() { end(nil); <-watched }()
	stop := context.AfterFunc(ctx, func() { _ = b.cfg.Host.KillBuilds(context.WithoutCancel(ctx)) })
	err = b.solve(ctx, child.client, r, log)
	if stop() {
		if err != nil && child.lost(err) {
			return nil, b.abandoned(ctx, child, err)
		}
		return b.finish(ctx, r, log, began, err)
	}
	if kerr := b.cfg.Host.KillBuilds(context.WithoutCancel(ctx)); kerr != nil {
		return nil, errors.Join(canceled(context.Cause(ctx)), kerr)
	}
	return nil, canceled(context.Cause(ctx))
}

// open has the source there.
func (r *Request) open(ctx context.Context) (closeSource func(), err error) {
	if r.Open == nil {
		return func() {}, nil
	}
	if r.Dir, r.Plan, closeSource, err = r.Open(ctx); err != nil {
		return nil, err
	}
	if !r.Plan.Static() {
		r.Output = nil
	}
	return closeSource, nil
}

// abandoned ends what is left of a build whose BuildKit has ended under it: its containers outlive it.
func (b *Builder) abandoned(ctx context.Context, child *buildkit, err error) error {
	child.stop()
	return errors.Join(interrupted().Wrap(err), b.cfg.Host.KillBuilds(context.WithoutCancel(ctx)))
}

func (b *Builder) finish(ctx context.Context, r Request, log *buildLog, began time.Time, err error) (*Result, error) {
	if err != nil {
		return nil, log.failure(err)
	}
	out := &Result{Steps: log.steps, Cached: log.cached}
	if r.Output == nil {
		if out.Image, err = b.cfg.Host.AdoptImage(ctx, ImageName(r.ID)); err != nil {
			return nil, err
		}
	}
	out.Took = time.Since(began)
	return out, nil
}

// solve hands the build to BuildKit and reads its progress.
func (b *Builder) solve(ctx context.Context, c *client.Client, r Request, log *buildLog) error {
	source, err := fsutil.NewFS(r.Dir)
	if err != nil {
		return fmt.Errorf("opening the source: %w", err)
	}
	dir, err := r.recipe(filepath.Join(b.cfg.DataDir, "build"))
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	recipe, err := fsutil.NewFS(dir)
	if err != nil {
		return fmt.Errorf("opening the Dockerfile: %w", err)
	}
	opt := client.SolveOpt{
		Frontend: "dockerfile.v0",
		FrontendAttrs: map[string]string{
			"filename": recipeName, "cmdline": "builtin", "image-resolve-mode": "local", "platform": platforms.Format(platforms.DefaultSpec()),
		},
		LocalMounts: map[string]fsutil.FS{"context": source, "dockerfile": recipe},
		Session:     []session.Attachable{secretsprovider.FromMap(r.Secrets)},
		SharedKey:   r.Dir,
	}
	for k, v := range r.Args {
		opt.FrontendAttrs["build-arg:"+k] = v
	}
	// Last: no argument of the build's says otherwise. A step's key has the host's name in it, and neither the secrets that
	// it sees nor, always, the name of its cache mount.
	opt.FrontendAttrs["build-arg:BUILDKIT_CACHE_MOUNT_NS"] = r.Caches
	opt.FrontendAttrs["build-arg:BUILDKIT_SANDBOX_HOSTNAME"] = r.Caches
	if r.Target != "" && r.Output == nil {
		opt.FrontendAttrs["target"] = r.Target
	}
	if r.NoCache {
		opt.FrontendAttrs["no-cache"] = ""
	}
	if r.Output != nil {
		opt.Exports = []client.ExportEntry{{Type: client.ExporterTar, Output: func(map[string]string) (io.WriteCloser, error) { return nopCloser{r.Output}, nil }}}
	} else {
		opt.Exports = []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{
			"name": ImageName(r.ID), "store": "true", "unpack": "true", "compression": "zstd", "oci-mediatypes": "true",
		}}}
	}
	status := make(chan *client.SolveStatus)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := range status {
			log.take(s)
		}
	}()
	_, err = c.Solve(ctx, nil, opt, status)
	<-read
	return err
}

// recipeName is what the Dockerfile is called on its way to BuildKit.
const recipeName = "Dockerfile"

// recipe writes the Dockerfile, and the list of what it leaves out where it has one of its own, into a new folder below
// dir.
func (r *Request) recipe(dir string) (string, error) {
	out, err := os.MkdirTemp(dir, "recipe-")
	if err != nil {
		return "", fmt.Errorf("writing the Dockerfile: %w", err)
	}
	text := r.Plan.Dockerfile
	if r.Output != nil {
		from, err := stageOf(text, r.Target)
		if err != nil {
			return "", errors.Join(err, os.RemoveAll(out))
		}
		paths, err := json.Marshal([]string{strings.ReplaceAll(strings.TrimSuffix(r.Plan.Output, "/")+"/", "$", `\$`), "/"})
		if err != nil {
			return "", errors.Join(err, os.RemoveAll(out))
		}
		text += fmt.Sprintf("\nFROM scratch AS pandabox-output\nCOPY --from=%d %s\n", from, paths)
	}
	err = os.WriteFile(filepath.Join(out, recipeName), []byte(text), 0o600)
	var ignore []byte
	if err == nil && r.Plan.File != "" {
		ignore, err = small(r.Dir, r.Plan.File+".dockerignore")
	}
	if err == nil && ignore != nil {
		err = os.WriteFile(filepath.Join(out, recipeName+".dockerignore"), ignore, 0o600)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("writing the Dockerfile: %w", err), os.RemoveAll(out))
	}
	return out, nil
}

// maxSteps bounds a Dockerfile: BuildKit's memory grows with the steps, and is not bounded as that of the steps is.
const maxSteps = 2000

// checkLength refuses a Dockerfile of more than maxSteps. One that cannot be read is left to BuildKit to explain.
func (r *Request) checkLength() error {
	out, err := parser.Parse(strings.NewReader(r.Plan.Dockerfile))
	if err == nil && len(out.AST.Children) > maxSteps {
		return model.Errorf(model.KindInvalid, "the Dockerfile has %d steps", len(out.AST.Children)).WithHint("at most %d can be; join some: RUN a && b", maxSteps)
	}
	return nil
}

// maxIgnore bounds a .dockerignore, in bytes.
const maxIgnore = 1 << 20

// small reads a file of the source, nil where there is none. What leads out of the source, or is no file, is refused.
func small(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	st, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, model.Invalid("%s cannot be read", name).Wrap(err).WithWhy("%s", err).WithHint("links must not lead out of the source")
	case !st.Mode().IsRegular() || st.Size() > maxIgnore:
		return nil, model.Invalid("%s is no file of at most %d KB", name, maxIgnore>>10)
	}
	return root.ReadFile(name)
}

// ImageName is what a build's image is called in the store of images.
func ImageName(id string) string { return "pandabox.local/build:" + id }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// stageOf returns the number of a Dockerfile's stage: the one called target, or else the last.
func stageOf(text, target string) (int, error) {
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return 0, model.Invalid("the Dockerfile cannot be read").WithWhy("%s", err).Wrap(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return 0, model.Invalid("the Dockerfile cannot be read").WithWhy("%s", err).Wrap(err)
	}
	for i := len(stages) - 1; i >= 0; i-- {
		if target == "" || strings.EqualFold(stages[i].Name, target) || strconv.Itoa(i) == target {
			return i, nil
		}
	}
	return 0, model.Invalid("the Dockerfile has no stage %q", target).WithHint("correct [build] target in pandabox.toml")
}

// canceled is how the end of a context is told.
func canceled(cause error) error {
	var e *model.Error
	if errors.As(cause, &e) {
		return e
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return model.Errorf(model.KindTimeout, "the build took too long").Wrap(cause)
	}
	return model.Errorf(model.KindCanceled, "the build was canceled").Wrap(cause)
}
