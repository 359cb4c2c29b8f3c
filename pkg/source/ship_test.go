package source

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/build/plan"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
	"github.com/pandabox/pandabox/pkg/store"
)

var root = model.Actor{ID: "root", Name: "root on this box", Root: true}

// shelf keeps sources as the daemon does, unpacked.
type shelf struct{ dir string }

func (s shelf) at(digest string) string {
	return filepath.Join(s.dir, strings.TrimPrefix(digest, "sha256:"))
}

func (s shelf) Import(ctx context.Context, _ string, r io.Reader) (model.Source, error) {
	dir, err := os.MkdirTemp(s.dir, "in-")
	if err != nil {
		return model.Source{}, err
	}
	hash := sha256.New()
	sum, err := pack.Unpack(ctx, io.TeeReader(r, hash), dir)
	if err != nil {
		return model.Source{}, err
	}
	digest := fmt.Sprintf("sha256:%x", hash.Sum(nil))
	return model.Source{Digest: digest, Files: sum.Files, Bytes: sum.Bytes}, os.Rename(dir, s.at(digest))
}

func (s shelf) Plan(_ context.Context, _ string, b model.BuildSpec, app string, kind model.AppKind) (model.BuildPlan, error) {
	p, err := plan.Detect(os.DirFS(s.at(b.Source)), plan.Options{Dockerfile: b.Dockerfile, Kind: kind, Output: b.Output, App: app})
	if err != nil {
		return model.BuildPlan{}, err
	}
	return model.BuildPlan{Name: p.String(), Output: p.Output}, nil
}

// bundles takes the code of functions.
type bundles struct {
	control.FunctionHost
	code *string
}

func (b bundles) Import(ctx context.Context, r io.Reader) (model.Bundle, error) {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err != nil {
			return b.Bundle(ctx, "")
		}
		if strings.HasSuffix(h.Name, ".js") || strings.HasSuffix(h.Name, ".mjs") {
			text, err := io.ReadAll(t)
			if err != nil {
				return model.Bundle{}, err
			}
			*b.code += string(text)
		}
	}
}

func (b bundles) Bundle(context.Context, string) (model.Bundle, error) {
	return model.Bundle{Digest: "sha256:" + strings.Repeat("f", 64), Size: 1, Runtime: model.RuntimeJS}, nil
}

func newService(t *testing.T) (*Service, *control.Control, *string) {
	t.Helper()
	dir, code := t.TempDir(), new(string)
	st, err := store.Open(control.StoreFile(dir), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if err := os.Mkdir(filepath.Join(dir, "sources"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := control.New(t.Context(), control.Config{
		Store: st, KeyFile: control.KeyFile(dir), DataDir: dir, BaseDomain: "box.example.net", URL: "https://box.example.net",
		Sources: shelf{filepath.Join(dir, "sources")}, Functions: bundles{code: code},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Control: c, TempDir: filepath.Join(dir, "trees")})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, code
}

// tree writes files into a tree of s.
func tree(t *testing.T, s *Service, files map[string]string) string {
	t.Helper()
	dir, remove, err := s.Tree()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if to, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(to, at)
		} else {
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestShip(t *testing.T) {
	s, c, code := newService(t)
	rev := model.Revision{Commit: "1a2b3c4d5e6f", Branch: "main", Subject: "Sell more"}
	for name, one := range map[string]struct {
		files  map[string]string
		a      Arrival
		app    string
		kind   model.AppKind
		passes func(model.Release) bool
	}{
		"a Dockerfile": {
			map[string]string{"Dockerfile": "FROM scratch", "pandabox.toml": "app = \"shop\"\n[build]\ntarget = \"last\"\n"},
			Arrival{}, "shop", model.KindWeb,
			func(r model.Release) bool { return r.Build.Target == "last" && len(r.Volumes) == 1 },
		},
		"what is committed though ignored": {
			map[string]string{"Dockerfile": "FROM scratch", ".gitignore": "Dockerfile\n"}, Arrival{App: "odd"}, "odd", model.KindWeb,
			func(r model.Release) bool { return r.Build != nil },
		},
		"plain files": {
			map[string]string{"index.html": "<h1>"}, Arrival{App: "page"}, "page", model.KindStatic,
			func(r model.Release) bool { return r.Static != nil && r.Build != nil && len(r.Volumes) == 0 },
		},
		"a function": {
			map[string]string{"index.js": "export default { fetch() { return new Response('hello from Ship') } }"}, Arrival{App: "greet"}, "greet", model.KindFunction,
			func(r model.Release) bool { return r.Function != nil && strings.Contains(*code, "hello from Ship") },
		},
		"an image": {
			map[string]string{"pandabox.toml": "image = \"registry.example.com/db:1\"\n"}, Arrival{App: "db"}, "db", model.KindWeb,
			func(r model.Release) bool { return r.Image.Ref == "registry.example.com/db:1" && r.Build == nil },
		},
		"a folder of many": {
			map[string]string{"apps/web/Dockerfile": "FROM scratch", "apps/web/pandabox.toml": "app = \"web\"\n", "Dockerfile": "FROM other"},
			Arrival{Dir: "apps/web"}, "web", model.KindWeb,
			func(r model.Release) bool { return r.Build != nil },
		},
	} {
		one.a.Tree, one.a.Revision = tree(t, s, one.files), rev
		if _, err := s.Ship(t.Context(), root, one.a); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w, err := c.Workloads.Status(t.Context(), root, control.Ref{App: one.app})
		if err != nil || w.App.Kind != one.kind || w.Env.Name != manifest.Production {
			t.Errorf("%s: it is %+v in %s (%v)", name, w.App, w.Env.Name, err)
		}
		r, err := c.Releases.Get(t.Context(), root, control.Ref{App: one.app}, 1)
		if err != nil || !one.passes(r.Release) || r.Revision == nil || *r.Revision != rev {
			t.Errorf("%s: the release is %+v (%v)", name, r, err)
		}
	}
}

func TestTreesThatAreNotShipped(t *testing.T) {
	s, c, _ := newService(t)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("app = \"stolen\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		files map[string]string
		a     Arrival
		says  string
	}{
		"no app":            {map[string]string{"Dockerfile": "FROM scratch"}, Arrival{}, "no app is named"},
		"nothing to build":  {map[string]string{"README.md": "hello"}, Arrival{App: "shop"}, "nobody knows how to build"},
		"a broken file":     {map[string]string{"pandabox.toml": "app = "}, Arrival{App: "shop"}, "pandabox.toml"},
		"a linked file":     {map[string]string{"pandabox.toml": "-> " + outside}, Arrival{App: "shop"}, "no regular file"},
		"a linked folder":   {map[string]string{"app": "-> " + filepath.Dir(outside)}, Arrival{App: "shop", Dir: "app"}, "there is no folder app"},
		"a folder above":    {map[string]string{"Dockerfile": "FROM scratch"}, Arrival{App: "shop", Dir: "../"}, "no folder of the source"},
		"a folder not here": {map[string]string{"Dockerfile": "FROM scratch"}, Arrival{App: "shop", Dir: "web"}, "there is no folder web"},
		"no files":          {nil, Arrival{App: "shop"}, "no files"},
	} {
		one.a.Tree = tree(t, s, one.files)
		if _, err := s.Ship(t.Context(), root, one.a); err == nil || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if l, err := c.Apps.List(t.Context(), root, "", control.Page{}); err != nil || len(l.Items) > 0 {
		t.Errorf("something was made: %+v, %v", l, err)
	}
	if err := os.WriteFile(filepath.Join(s.cfg.TempDir, "left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(s.cfg); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(s.cfg.TempDir); err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
}
