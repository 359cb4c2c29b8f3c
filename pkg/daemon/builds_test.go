package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
	"github.com/pandabox/pandabox/pkg/source/archive"
	"github.com/pandabox/pandabox/pkg/source/pack"
	"github.com/pandabox/pandabox/pkg/static"
)

// withoutBuildKit is building as far as it needs no BuildKit.
func withoutBuildKit(t *testing.T) (*builds, string) {
	t.Helper()
	dir := t.TempDir()
	sites, err := static.Open(filepath.Join(dir, "sites"))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := archive.Open(filepath.Join(dir, "sources"), filepath.Join(dir, "trees"))
	if err != nil {
		t.Fatal(err)
	}
	b := &builds{dir: dir, freeMin: 1, places: source.NewPlaces(maxUnpacking, maxUnpackingOf), sources: sources, sites: sites, logs: buildLogs{filepath.Join(dir, "logs")}}
	if err := os.Mkdir(b.logs.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return b, dir
}

// source imports files; one that says "-> x" is a link to x.
func (b *builds) source(t *testing.T, files map[string]string) model.BuildSpec {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		to, link := strings.CutPrefix(text, "-> ")
		var err error
		if link {
			err = os.Symlink(to, at)
		} else {
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := pack.Pack(t.Context(), dir, &out, nil); err != nil {
		t.Fatal(err)
	}
	src, err := b.Import(t.Context(), "", &out)
	if err != nil {
		t.Fatal(err)
	}
	return model.BuildSpec{Source: src.Digest}
}

func TestHowAFolderIsBuilt(t *testing.T) {
	b, dir := withoutBuildKit(t)
	spec := b.source(t, map[string]string{
		"go.mod": "module x\n\ngo 1.26\n", "main.go": "package main\n", "apps/web/Dockerfile": "FROM scratch\n", "out": "-> /etc", "site/index.html": "home",
	})
	tests := []struct {
		change func(*model.BuildSpec)
		name   string
		kind   model.Kind // of the error
	}{
		{func(*model.BuildSpec) {}, "Go 1.26", ""},
		{func(s *model.BuildSpec) { s.Dir = "apps/web" }, "Dockerfile", ""},
		{func(s *model.BuildSpec) { s.Dockerfile = "apps/web/Dockerfile" }, "Dockerfile", ""},
		{func(s *model.BuildSpec) { s.Dir = "site" }, "Static files", ""},
		{func(s *model.BuildSpec) { s.Dir = "nowhere" }, "", model.KindNotFound},
		{func(s *model.BuildSpec) { s.Dir = "out" }, "", model.KindNotFound},
		{func(s *model.BuildSpec) { s.Source = "sha256:" + strings.Repeat("0", 64) }, "", model.KindNotFound},
	}
	for _, tt := range tests {
		s := spec
		tt.change(&s)
		p, err := b.Plan(t.Context(), "", s, "shop", "")
		if p.Name != tt.name || (err != nil || tt.kind != "") && model.KindOf(err) != tt.kind {
			t.Errorf("%+v is built as %q, %v; want %q, %q", s, p.Name, err, tt.name, tt.kind)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "trees")); err != nil || len(left) != 0 {
		t.Errorf("left unpacked are %v, %v", left, err)
	}
}

func TestASiteOfPlainFilesNeedsNoBuildKit(t *testing.T) {
	b, dir := withoutBuildKit(t)
	spec := b.source(t, map[string]string{"public/index.html": "home", "public/about.html": "about", "README.md": "not served"})
	spec.Output = "public"
	r := control.BuildRequest{ID: "build-1", Org: "o", App: "shop", Kind: model.KindStatic, Spec: spec, Static: &model.Static{SPA: true, KeepHTML: true}}
	out, err := b.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	s := out.Static
	if s == nil || s.Files != 2 || s.Bytes != 9 || !s.SPA || !s.KeepHTML || out.Image.Digest != "" {
		t.Fatalf("it made %+v", out)
	}
	if site, err := b.sites.Site(s.Digest); err != nil || len(site.Files) != 2 {
		t.Errorf("the site is %+v, %v", site, err)
	}
	wantTexts(t, b.logs, "build-1", "2 files, 9 bytes")

	r.ID, r.Spec = "build-2", b.source(t, map[string]string{"public/index.html": "-> ../../../etc/passwd"})
	r.Spec.Output = "public"
	if _, err := b.Build(t.Context(), r); model.KindOf(err) != model.KindInvalid {
		t.Errorf("a link that leads out: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "trees")); err != nil || len(left) != 0 {
		t.Errorf("left unpacked are %v, %v", left, err)
	}
}

func TestABoxBuildsForItselfOnly(t *testing.T) {
	b, _ := withoutBuildKit(t)
	spec := b.source(t, map[string]string{"Dockerfile": "FROM scratch"})
	for platform, good := range map[string]bool{"": true, "linux/" + runtime.GOARCH: true, "linux/s390x": false, "windows/amd64": false, "linux/nonsense": false} {
		spec.Platform = platform
		if _, err := b.Plan(t.Context(), "", spec, "shop", ""); (err == nil) != good || err != nil && model.KindOf(err) != model.KindInvalid {
			t.Errorf("for %q: %v", platform, err)
		}
	}
}

// TestUnpackingTakesTurns has an org with more slow uploads than it has places, another beside it, and a full disk.
func TestUnpackingTakesTurns(t *testing.T) {
	b, dir := withoutBuildKit(t)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error)
	slow := []*io.PipeWriter{}
	for range maxUnpackingOf + 1 {
		r, w := io.Pipe()
		slow = append(slow, w)
		go func() {
			_, err := b.Import(ctx, "acme", r)
			ended <- err
		}()
	}
	unpacked := func() int {
		all, err := os.ReadDir(filepath.Join(dir, "trees"))
		if err != nil {
			t.Error(err)
		}
		return len(all)
	}
	for until := time.Now().Add(10 * time.Second); unpacked() < maxUnpackingOf && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	b.source(t, map[string]string{"index.html": "of another org"})
	if n := unpacked(); n != maxUnpackingOf {
		t.Errorf("%d of an org are unpacked at once", n)
	}
	end()
	for _, w := range slow {
		_ = w.CloseWithError(context.Canceled)
	}
	for range slow {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a slow upload: %v", err)
		}
	}
	if n := unpacked(); n != 0 {
		t.Errorf("%d are left", n)
	}
	b.freeMin = 1 << 60
	if _, err := b.Import(t.Context(), "acme", strings.NewReader("")); model.KindOf(err) != model.KindNoSpace {
		t.Errorf("on a full disk: %v", err)
	}
}
