//go:build linux

package js_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

const counter = `let n = 0; const made = Math.random(); export default { fetch(r, env) { return new Response([++n, made, env.V ?? ""].join()) } }`

func TestResetBringsBackTheFirstState(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	i := isolateOf(t, e, counter)
	d := open(t, i, nil)
	_, first := d.ask(t, "GET", "/", "")
	if _, second := d.ask(t, "GET", "/", ""); second == first {
		t.Fatalf("the second request saw %q too", second)
	}
	for range 3 {
		if err := i.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, again := d.ask(t, "GET", "/", ""); again != first {
			t.Fatalf("after a reset a request saw %q, want %q", again, first)
		}
	}
}

func TestSnapshotsOutliveTheEngine(t *testing.T) {
	dir := t.TempDir()
	ask := func(v string) string {
		e := jstest.EngineIn(t, js.Prelude{}, dir)
		code := jstest.Code(counter)
		code.Env = map[string]string{"V": v}
		p, err := e.Open(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		if n := p.Snapshot(); n <= 0 || n > 300_000 {
			t.Errorf("the snapshot has %d bytes", n)
		}
		i, err := p.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, body := open(t, i, nil).ask(t, "GET", "/", "")
		return body
	}
	first := ask("")
	if got := ask(""); got != first {
		t.Errorf("another engine gave %q, want %q: the module was evaluated again", got, first)
	}
	if got := ask("pw-7f3a9"); got != first+"pw-7f3a9" {
		t.Errorf("with another variable it is %q", got)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("got %v, %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(f); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others", f)
		}
		if contains(b, "pw-7f3a9") {
			t.Errorf("%s has a variable in it", f)
		}
	}
}

func TestDamagedAndOldSnapshotsAreMadeAgain(t *testing.T) {
	dir := t.TempDir()
	open := func() {
		e := jstest.EngineIn(t, js.Prelude{}, dir)
		if _, err := e.Open(t.Context(), jstest.Code(counter)); err != nil {
			t.Fatal(err)
		}
	}
	open()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.snap"))
	if err != nil || len(files) != 2 {
		t.Fatalf("got %v, %v", files, err)
	}
	for _, f := range files {
		if err := os.Truncate(f, 100); err != nil {
			t.Fatal(err)
		}
		open()
		if info, err := os.Stat(f); err != nil || info.Size() < 1000 {
			t.Fatalf("%s was not made again: %v", f, err)
		}
	}
	for _, f := range files {
		if old := time.Now().Add(-60 * 24 * time.Hour); filepath.Base(f) != "base.snap" {
			if err := os.Chtimes(f, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	jstest.EngineIn(t, js.Prelude{}, dir)
	if files, err = filepath.Glob(filepath.Join(dir, "*", "*.snap")); err != nil || len(files) != 1 {
		t.Fatalf("what nobody opened for a month is kept: %v, %v", files, err)
	}
}
