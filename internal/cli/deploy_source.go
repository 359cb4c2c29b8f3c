package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/build/plan"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// sourceFolder is a folder that is built: what is taken of it and how.
type sourceFolder struct {
	tree *pack.Tree
	plan *plan.Plan
	spec model.BuildSpec // Source is "" until it is uploaded
}

// lookAtSource finds out how a folder is built, as the box will. What cannot be is refused before anything is sent.
func (sh *shell) lookAtSource(ctx context.Context, dir string, m *manifest.Manifest, ref client.Ref, b building) (*sourceFolder, error) {
	if len(m.Files) == 0 && (dir == filepath.Clean(sh.env("HOME")) || dir == filepath.Dir(dir)) {
		return nil, model.Invalid("%s is no app's folder", dir).WithHint("go to the folder of the app first, or deploy an image: pandabox deploy --image REF")
	}
	tree, err := pack.Look(ctx, dir)
	if err != nil {
		return nil, err
	}
	return sh.planSource(tree, m.Kind, m.For(ref.Env).Build, ref.App, b)
}

// planSource finds out how a tree is built. What of it says so is in the folder's settings, what of them is changed in b.
func (sh *shell) planSource(tree *pack.Tree, kind model.AppKind, s manifest.Build, app string, b building) (*sourceFolder, error) {
	spec, err := b.over(sh, tree.Dir, s.On("", ""))
	if err != nil {
		return nil, err
	}
	if f := spec.Dockerfile; f != "" && !slices.Contains(tree.Files, f) && exists(filepath.Join(tree.Dir, filepath.FromSlash(f))) {
		return nil, model.Invalid("%s is left out of what is built", f).WithWhy("git or the ignore file leaves it out").
			WithHint("name it in .pandaboxignore or .dockerignore with a ! before it, or take it out of .gitignore")
	}
	p, err := plan.Detect(tree.FS(), plan.Options{Dockerfile: spec.Dockerfile, Kind: kind, Output: spec.Output, App: app})
	if err != nil {
		return nil, err
	}
	return &sourceFolder{tree, p, spec}, nil
}

// The least times between two words of how far an upload is, on a terminal and elsewhere.
const (
	drawPause = 50 * time.Millisecond
	linePause = 10 * time.Second
)

// warn says what of the folder is not as it looks.
func (s *sourceFolder) warn(o *output) {
	const shown = 5
	if out := s.tree.Outside; len(out) > 0 {
		text := strings.Join(out[:min(shown, len(out))], ", ")
		if more := len(out) - shown; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		o.say("    warning: out of the folder lead, and so nowhere in the build: %s", printable(text))
	}
}

// uploadSource packs a folder and streams it to the box as it is read.
func (sh *shell) uploadSource(ctx context.Context, c *client.Client, t *pack.Tree) (model.Source, error) {
	p := sh.progress()
	defer p.Close()
	began := time.Now()
	total := count(len(t.Files), "file") + ", " + size(t.Bytes)
	p.step("upload", total, began)
	drawn, pause := began, linePause
	if p.tty {
		pause = drawPause
	}
	packing := startPacking(ctx, t, func(s pack.Summary) {
		now := time.Now()
		if now.Sub(drawn) < pause {
			return
		}
		drawn = now
		note := fmt.Sprintf("%d of %s, %s of %s", s.Files, count(len(t.Files), "file"), size(s.Bytes), size(t.Bytes))
		if !p.tty {
			p.line("    " + note)
			return
		}
		p.both("upload", bar(s.Bytes, t.Bytes), note, began)
	})
	src, err := c.ImportSource(ctx, packing, nil)
	if e := packing.Close(); e != nil {
		err = e // the reason why the box saw the upload end
	}
	if interrupted(ctx, err) {
		err = nothingDeployed()
	}
	p.end(err == nil, "upload", total, time.Since(began))
	return src, err
}

// nothingDeployed is the error of a Ctrl-C before the box was asked for a deploy.
func nothingDeployed() error {
	return &exitError{ExitInterrupted, model.Errorf(model.KindCanceled, "interrupted; nothing was deployed")}
}

// bar draws how far n is on its way to total: "███████░░░ 68%".
func bar(n, total int64) string {
	const width = 10
	share := 1.0
	if total > 0 {
		share = min(1, float64(n)/float64(total))
	}
	full := int(share * width)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full) + " " + pct(int(share*100))
}

// packing is a folder as an archive that is made as it is read.
type packing struct {
	*io.PipeReader
	made chan struct{}
	err  error // of the making, once made is closed
}

func startPacking(ctx context.Context, t *pack.Tree, progress func(pack.Summary)) *packing {
	r, w := io.Pipe()
	p := &packing{PipeReader: r, made: make(chan struct{})}
	go func() {
		defer close(p.made)
		_, p.err = t.Pack(ctx, w, progress)
		_ = w.CloseWithError(p.err)
	}()
	return p
}

// Close ends the making, waits for it, and returns what went wrong with the files themselves.
func (p *packing) Close() error {
	_ = p.PipeReader.Close()
	<-p.made
	var e *model.Error
	if errors.As(p.err, &e) {
		return e
	}
	return nil
}
