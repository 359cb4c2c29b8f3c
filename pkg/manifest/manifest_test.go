package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", file, got, want)
	}
}

func each(t *testing.T, pattern string, run func(t *testing.T, file string, doc []byte)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	for _, f := range files {
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(f), func(t *testing.T) { run(t, f, doc) })
	}
}

func TestGood(t *testing.T) {
	each(t, "testdata/good/*.toml", func(t *testing.T, file string, doc []byte) {
		m, err := Parse(doc)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]any{"app": m.App, "project": m.Project, "kind": m.Kind, "envs": m.Envs()}
		for _, env := range append(m.Envs(), Production, "preview") {
			out["for "+env] = m.For(env)
		}
		b, err := json.MarshalIndent(out, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".json", append(b, '\n'))
	})
}

func TestBad(t *testing.T) {
	each(t, "testdata/bad/*.toml", func(t *testing.T, file string, doc []byte) {
		m, err := Parse(doc)
		if err == nil {
			t.Fatalf("accepted: %+v", m)
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".txt", []byte(threeLines(t, err)))
	})
}

func threeLines(t *testing.T, err error) string {
	t.Helper()
	var e *model.Error
	if !errors.As(err, &e) || e.Kind != model.KindInvalid {
		t.Fatalf("not an invalid *model.Error: %v", err)
	}
	return "error: " + e.What + "\n  " + e.Why + "\n  try: " + e.Hint + "\n"
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Settings{Volumes: []model.Mount{DefaultVolume()}, Variables: map[string]string{}}); !reflect.DeepEqual(m.For(Production), want) || m.Files != nil {
		t.Errorf("an empty folder gives %+v, files %v", m.For(Production), m.Files)
	}
	write(t, dir, ProcfileName, "web: ./shop serve\nworker: ./shop work\n")
	write(t, dir, FileName, "[process.web]\nport = 3000\n[env.staging.process.worker]\ncommand = \"./shop work --slow\"\n")
	if m, err = Load(dir); err != nil {
		t.Fatal(err)
	}
	want := []model.Process{{Name: "web", Command: []string{"./shop", "serve"}, Port: 3000}, {Name: "worker", Command: []string{"./shop", "work"}}}
	if got := m.For(Production).Processes; !reflect.DeepEqual(got, want) {
		t.Errorf("production: got %+v, want %+v", got, want)
	}
	if got := m.For("staging").Processes[1].Command; !reflect.DeepEqual(got, []string{"./shop", "work", "--slow"}) {
		t.Errorf("staging worker runs %q", got)
	}
	if want := []string{FileName, ProcfileName}; !reflect.DeepEqual(m.Files, want) {
		t.Errorf("files: got %v, want %v", m.Files, want)
	}

	write(t, dir, FileName, "[process.web]\ncommand = \"./shop\"\n")
	if _, err = Load(dir); err == nil || !strings.Contains(err.Error(), "pandabox.toml:2:1: process web has a command in Procfile too") {
		t.Errorf("a command in both files: %v", err)
	}
	write(t, dir, FileName, strings.Repeat("#", MaxSize+1))
	if _, err = Load(dir); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.toml", "testdata/bad/*.toml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			doc, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(doc)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := Parse(doc)
		checkFault(t, doc, err)
		if err == nil {
			for _, env := range append(m.Envs(), Production) {
				if f := m.For(env).Function; (f != nil) != (m.Kind == model.KindFunction) {
					t.Errorf("kind %s with the function %+v", m.Kind, f)
				} else if f != nil {
					f.Digest, f.Runtime = unbundled, cmp.Or(f.Runtime, model.RuntimeJS)
					if err := f.Validate(); err != nil {
						t.Errorf("accepted a function that is not valid: %v", err)
					}
				}
				s := m.For(env)
				if (s.Static != nil) != (m.Kind == model.KindStatic) || s.Static != nil && len(s.Processes)+len(s.Volumes)+len(s.Image) > 0 {
					t.Errorf("kind %s with the settings %+v", m.Kind, s)
				}
				if err := s.Build.On(unbundled, "").Validate(); err != nil {
					t.Errorf("accepted a build that is not valid: %v", err)
				}
				for _, p := range m.For(env).Processes {
					if err := p.Validate(); err != nil {
						t.Errorf("accepted a process that is not valid: %v", err)
					}
				}
			}
		}
	})
}

// checkFault fails unless err is nil or names a place within doc.
func checkFault(t *testing.T, doc []byte, err error) {
	t.Helper()
	var e *Error
	if err == nil {
		return
	}
	if !errors.As(err, &e) {
		t.Fatalf("an error without a place: %v", err)
	}
	if lines := bytes.Count(doc, []byte("\n")) + 1; e.Line < 1 || e.Line > lines || e.Column < 1 || e.What == "" {
		t.Errorf("%+v does not lie within %d lines", e, lines)
	}
}
