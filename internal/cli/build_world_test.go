package cli

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/build/plan"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// worldBuilds keeps and plans sources as the daemon does. What it builds is a play: of the commands of a Dockerfile it
// knows "echo TEXT", "false", and "sleep", which ends with the build only.
type worldBuilds struct {
	dir  string
	fake *runtimetest.Fake

	mu   sync.Mutex
	logs map[string][]model.BuildLine
	more chan struct{} // closed and made anew with each line
}

var (
	_ control.Sources     = (*worldBuilds)(nil)
	_ control.BuildEngine = (*worldBuilds)(nil)
)

func newWorldBuilds(dir string, fake *runtimetest.Fake) *worldBuilds {
	return &worldBuilds{dir: filepath.Join(dir, "sources"), fake: fake, logs: map[string][]model.BuildLine{}, more: make(chan struct{})}
}

func (w *worldBuilds) Import(ctx context.Context, _ string, r io.Reader) (model.Source, error) {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return model.Source{}, err
	}
	dir, err := os.MkdirTemp(w.dir, "in-")
	if err != nil {
		return model.Source{}, err
	}
	hash := sha256.New()
	sum, err := pack.Unpack(ctx, io.TeeReader(r, hash), dir)
	if err != nil {
		return model.Source{}, err
	}
	hex := fmt.Sprintf("%x", hash.Sum(nil))
	if err := os.Rename(dir, filepath.Join(w.dir, hex)); err != nil && !os.IsExist(err) && !strings.Contains(err.Error(), "not empty") {
		return model.Source{}, err
	}
	return model.Source{Digest: "sha256:" + hex, Files: sum.Files, Bytes: sum.Bytes}, nil
}

func (w *worldBuilds) detect(b model.BuildSpec, app string, kind model.AppKind) (*plan.Plan, error) {
	dir := filepath.Join(w.dir, strings.TrimPrefix(b.Source, "sha256:"))
	return plan.Detect(os.DirFS(dir), plan.Options{Dockerfile: b.Dockerfile, Kind: kind, Output: b.Output, App: app})
}

func (w *worldBuilds) Plan(_ context.Context, _ string, b model.BuildSpec, app string, kind model.AppKind) (model.BuildPlan, error) {
	p, err := w.detect(b, app, kind)
	if err != nil {
		return model.BuildPlan{}, err
	}
	return model.BuildPlan{Name: p.String(), File: p.File, Dockerfile: p.Dockerfile, Output: p.Output, Reasons: p.Reasons}, nil
}

func (w *worldBuilds) Build(ctx context.Context, r control.BuildRequest) (control.BuildResult, error) {
	p, err := w.detect(r.Spec, r.App, r.Kind)
	if err != nil {
		return control.BuildResult{}, err
	}
	steps := strings.Split(strings.TrimSpace(p.Dockerfile), "\n")
	for i, command := range steps {
		step := fmt.Sprintf("[%d/%d]", i+1, len(steps))
		w.say(r.ID, step, command)
		run, ok := strings.CutPrefix(command, "RUN ")
		for part := range strings.SplitSeq(run, " && ") {
			name, rest, _ := strings.Cut(part, " ")
			switch {
			case !ok:
			case name == "echo":
				w.say(r.ID, step, strings.ReplaceAll(rest, "$VERSION", r.Spec.Args["VERSION"]))
			case name == "false":
				return control.BuildResult{}, model.Invalid("the build failed at: %s", command).WithWhy("it ended with code 1").WithHint("the log has more")
			case name == "sleep":
				<-ctx.Done()
				w.say(r.ID, step, "killed")
				return control.BuildResult{}, model.Errorf(model.KindCanceled, "the build was canceled").Wrap(ctx.Err())
			}
		}
	}
	img := w.fake.AddImage(model.Image{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(r.Spec.Source+p.Dockerfile)))})
	return control.BuildResult{Image: img, Steps: len(steps), Cached: 1}, nil
}

func (w *worldBuilds) say(id, step, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logs[id] = append(w.logs[id], model.BuildLine{At: time.Now().UTC(), Step: step, Text: text})
	close(w.more)
	w.more = make(chan struct{})
}

// BuildLog follows until ctx ends: that the build is over is not for it to know.
func (w *worldBuilds) BuildLog(ctx context.Context, id string, follow bool, yield func(model.BuildLine) error) error {
	for n := 0; ; {
		w.mu.Lock()
		lines, more := append([]model.BuildLine{}, w.logs[id]...), w.more
		w.mu.Unlock()
		for ; n < len(lines); n++ {
			if err := yield(lines[n]); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
}

func (w *worldBuilds) PruneBuilds(context.Context) (int64, error) { return 3 << 20, nil }
