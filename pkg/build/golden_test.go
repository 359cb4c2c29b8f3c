//go:build linux

package build_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pandabox/pandabox/pkg/build"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestGoldenPaths builds the projects in testdata with the real BuildKit, as their golden path says and with bases made
// here, runs what was built, and compares what it prints with WANT. Built again after one line of LINE's file changed,
// the dependencies come from the cache.
func TestGoldenPaths(t *testing.T) {
	s := newSite(t, func(c *build.Config) { c.Limits = model.Limits{Memory: 3 << 30, Pids: 2000} })
	s.bases(t, "debian", "golang", "node", "python")
	projects, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(projects) < 5 {
		t.Fatalf("%d projects, %v", len(projects), err)
	}
	for _, file := range projects {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, want := t.TempDir(), ""
			for _, f := range a.Files {
				if f.Name == "WANT" {
					want = string(f.Data)
					continue
				}
				to := filepath.Join(dir, f.Name)
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to, f.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.run(t, name, dir); got != want {
				t.Errorf("it prints %q, want %q", got, want)
			}
			// The comment says what changes: FILE OLD NEW
			f := strings.Fields(string(a.Comment))
			if len(f) != 3 {
				t.Fatalf("the comment is %q", a.Comment)
			}
			text, err := os.ReadFile(filepath.Join(dir, f[0]))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f[0]), bytes.ReplaceAll(text, []byte(f[1]), []byte(f[2])), 0o644); err != nil {
				t.Fatal(err)
			}
			if got, want := s.run(t, name+"-again", dir), strings.ReplaceAll(want, f[1], f[2]); got != want {
				t.Errorf("changed, it prints %q, want %q", got, want)
			}
		})
	}
}

// run builds a folder and runs the image as it says. From the second build on, some steps must come from the cache.
func (s *site) run(t *testing.T, id, dir string) string {
	t.Helper()
	log := &lines{}
	r := request(t, id, dir, log)
	res, err := s.builder.Build(t.Context(), r)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.text())
	}
	if strings.HasSuffix(id, "-again") && res.Cached == 0 {
		t.Errorf("%d of %d steps from the cache:\n%s", res.Cached, res.Steps, log.text())
	}
	t.Logf("%s: %s, %d of %d steps cached, %s", id, r.Plan, res.Cached, res.Steps, res.Took.Round(time.Millisecond))
	spec := model.ContainerSpec{
		Name: id + "-run", Image: res.Image.Digest, Replica: model.Replica{Role: model.RoleOneOff, WorkloadID: "w1", EnvID: "e1", App: "a", Process: "run", Index: 1},
		Limits: model.Limits{Memory: 512 << 20, Pids: 100}, Env: []string{"PORT=8080"},
	}
	var out, fault bytes.Buffer
	code, err := s.runtime.Run(t.Context(), spec, model.ExecSpec{Stdout: &out, Stderr: &fault})
	if err != nil || code != 0 {
		t.Errorf("the image ends with %d, %v\n%s%s", code, err, out.String(), fault.String())
	}
	return out.String()
}
