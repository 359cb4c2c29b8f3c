package runtime_test

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// named returns an OCI layout whose index says what its image is called, by org.opencontainers.image.ref.name.
func named(t *testing.T, b *runtimetest.Built, ref string) io.Reader {
	t.Helper()
	files := b.OCI()
	for i, f := range files {
		if f.Path != "/index.json" {
			continue
		}
		var index map[string]any
		if err := json.Unmarshal(f.Content, &index); err != nil {
			t.Fatal(err)
		}
		index["manifests"].([]any)[0].(map[string]any)["annotations"] = map[string]string{"org.opencontainers.image.ref.name": ref}
		text, err := json.Marshal(index)
		if err != nil {
			t.Fatal(err)
		}
		files[i].Content = text
	}
	return runtimetest.Tar(t, files)
}

// baseNames returns the names of the base images.
func baseNames(t *testing.T, r *runtime.Runtime) []string {
	t.Helper()
	all, err := r.Bases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, b := range all {
		out = append(out, b.Name)
	}
	return out
}

func TestBaseImages(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = 1
	r := boxtest.Start(t, cfg)
	one, two := tiny(t, runtimetest.ImageSpec{Env: []string{"N=1"}}), tiny(t, runtimetest.ImageSpec{Env: []string{"N=2"}})
	add := func(src io.Reader, name, want string) model.BaseImage {
		t.Helper()
		all, err := r.AddBases(t.Context(), src, name)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 1 || all[0].Name != want || all[0].Size == 0 || all[0].AddedAt.IsZero() {
			t.Fatalf("it keeps %+v, want %s", all, want)
		}
		return all[0]
	}
	add(runtimetest.Tar(t, one.Docker(t, "golang:1.26")), "", "docker.io/library/golang:1.26")
	add(named(t, one, "ghcr.io/acme/base:2"), "", "ghcr.io/acme/base:2")
	add(runtimetest.Tar(t, one.OCI()), "node", "docker.io/library/node:latest")
	if b := add(runtimetest.Tar(t, two.OCI()), "node", "docker.io/library/node:latest"); b.Digest != two.Manifest {
		t.Errorf("the name still means %s", b.Digest)
	}
	want := []string{"docker.io/library/golang:1.26", "docker.io/library/node:latest", "ghcr.io/acme/base:2"}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	if got := baseNames(t, r); !slices.Equal(got, want) {
		t.Errorf("after freeing space there are %q", got)
	}
	all, err := r.Bases(t.Context())
	if err != nil || all[0].Size == 0 || all[1].Size == 0 { // 0: a layer is missing
		t.Errorf("after freeing space they are %+v, %v", all, err)
	}
	if err := r.RemoveBase(t.Context(), "golang:1.26"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"golang:1.26", "debian"} {
		if err := r.RemoveBase(t.Context(), name); model.KindOf(err) != model.KindNotFound {
			t.Errorf("removing %s: %v", name, err)
		}
	}
	for _, name := range want[1:] {
		if err := r.RemoveBase(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

func TestBaseImagesRefused(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	b := tiny(t, runtimetest.ImageSpec{})
	for name, tt := range map[string]struct {
		src  io.Reader
		name string
		says string
	}{
		"without a name":    {runtimetest.Tar(t, b.OCI()), "", "does not say what its image is called"},
		"with only a tag":   {named(t, b, "latest"), "", "does not say what its image is called"},
		"no name":           {runtimetest.Tar(t, b.OCI()), "Go Lang", "is not the name of an image"},
		"a digest":          {runtimetest.Tar(t, b.OCI()), "golang@" + b.Manifest, "by its digest"},
		"garbage":           {strings.NewReader("garbage"), "golang", ""},
		"another processor": {runtimetest.Tar(t, tiny(t, runtimetest.ImageSpec{Arch: otherArch()}).OCI()), "golang", "architecture"},
		"a layer is missing": {runtimetest.Tar(t, slices.DeleteFunc(b.OCI(), func(f runtimetest.File) bool {
			return strings.HasSuffix(f.Path, b.Layers[0][7:])
		})), "golang", "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.AddBases(t.Context(), tt.src, tt.name)
			if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if got := baseNames(t, r); len(got) != 0 {
				t.Errorf("it keeps %q", got)
			}
			boxtest.Leftovers(t, r, cfg)
		})
	}
}
