package runtime_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/registrytest"
)

func TestPull(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	reg := registrytest.New(t, registrytest.Options{})
	b := tiny(t, runtimetest.ImageSpec{Ports: []int{9000}})
	ref := reg.Push(t, "shop:1", b)
	var last int
	img, err := r.Ensure(t.Context(), model.Image{Ref: ref}, func(p int, detail string) {
		if p < last || detail == "" {
			t.Errorf("progress went from %d to %d %q", last, p, detail)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest != b.Manifest || img.Ref != ref || len(img.Config.Ports) != 1 || last != 100 {
		t.Errorf("pulled %+v, progress %d", img, last)
	}
	before := reg.Requests()
	if _, err := r.Ensure(t.Context(), img, nil); err != nil || reg.Requests() != before {
		t.Errorf("ensuring what is there: %v, %d requests", err, reg.Requests()-before)
	}
	second := tiny(t, runtimetest.ImageSpec{Env: []string{"V=2"}})
	reg.Push(t, "shop:1", second)
	if img, err := r.Ensure(t.Context(), model.Image{Ref: ref, Digest: second.Manifest}, nil); err != nil || img.Digest != second.Manifest {
		t.Errorf("pulling by digest: %+v, %v", img, err)
	}
	other := tiny(t, runtimetest.ImageSpec{Arch: otherArch(), Env: []string{"V=3"}})
	third := tiny(t, runtimetest.ImageSpec{Env: []string{"V=3"}})
	multi := reg.PushIndex(t, "multi:1", runtimetest.Platformed{Arch: otherArch(), Image: other}, runtimetest.Platformed{Arch: goruntime.GOARCH, Image: third})
	if img, err := r.Ensure(t.Context(), model.Image{Ref: multi}, nil); err != nil || img.Digest != third.Manifest {
		t.Errorf("pulling for this platform: %+v, %v", img, err)
	}
}

func TestPullWithSettings(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	b := tiny(t, runtimetest.ImageSpec{})
	private := registrytest.New(t, registrytest.Options{TLS: true, Username: "me", Password: "secret"})
	ref := private.Push(t, "shop:1", b)
	settings := func(format string, args ...any) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(cfg.DataDir, "registries.toml"), fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pull := func(ref string) error {
		_, err := r.Ensure(t.Context(), model.Image{Ref: ref}, nil)
		return err
	}
	settings("[registry.%q]\ninsecure = false\nusername = \"me\"\npassword = \"secret\"\n", private.Host)
	if err := pull(ref); model.KindOf(err) != model.KindUnavailable || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("a certificate nobody trusts: %v", err)
	}
	settings("[registry.%q]\nca = %q\nusername = \"me\"\npassword = \"wrong\"\n", private.Host, private.CA)
	if err := pull(ref); model.KindOf(err) != model.KindForbidden || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
	settings("[registry.%q]\nca = %q\nusername = \"me\"\npassword = \"secret\"\n", private.Host, private.CA)
	if err := pull(ref); err != nil {
		t.Errorf("with the right settings: %v", err)
	}
	mirror := registrytest.New(t, registrytest.Options{})
	mirror.Push(t, "library/nginx:1", tiny(t, runtimetest.ImageSpec{Env: []string{"MIRROR=1"}}))
	settings("[registry.\"docker.io\"]\nmirrors = [%q]\n", mirror.URL())
	if err := pull("nginx:1"); err != nil {
		t.Errorf("from a mirror: %v", err)
	}
	settings("[registry.\"docker.io\"]\nmirror = [%q]\n", mirror.URL())
	if err := pull("nginx:2"); model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), "mirror") {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestPullRefuses(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	reg := registrytest.New(t, registrytest.Options{})
	b := tiny(t, runtimetest.ImageSpec{})
	good := reg.Push(t, "shop:1", b)
	foreign := reg.Push(t, "foreign:1", tiny(t, runtimetest.ImageSpec{Arch: otherArch()}))
	foreignIndex := reg.PushIndex(t, "index:1", runtimetest.Platformed{Arch: otherArch(), Image: tiny(t, runtimetest.ImageSpec{Arch: otherArch()})})
	closed := registrytest.New(t, registrytest.Options{Username: "me", Password: "secret"})
	layer := func(fn func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, q *http.Request) bool {
			if q.Method != http.MethodGet || !strings.HasSuffix(q.URL.Path, b.Layers[0]) {
				return false
			}
			fn(w)
			return true
		}
	}
	for _, c := range []struct {
		name  string
		img   model.Image
		kind  model.Kind
		spoil func(http.ResponseWriter, *http.Request) bool
	}{
		{"not a reference", model.Image{Ref: "Not A Ref"}, model.KindInvalid, nil},
		{"no such tag", model.Image{Ref: reg.Host + "/shop:2"}, model.KindNotFound, nil},
		{"no such digest", model.Image{Ref: good, Digest: "sha256:" + strings.Repeat("2", 64)}, model.KindNotFound, nil},
		{"nobody there", model.Image{Ref: "127.0.0.1:1/shop:1"}, model.KindUnavailable, nil},
		{"no credentials", model.Image{Ref: closed.Host + "/shop:1"}, model.KindForbidden, nil},
		{"wrong architecture", model.Image{Ref: foreign}, model.KindInvalid, nil},
		{"wrong architectures", model.Image{Ref: foreignIndex}, model.KindInvalid, nil},
		{"registry out of order", model.Image{Ref: good}, model.KindUnavailable, func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return true
		}},
		{"other content than promised", model.Image{Ref: good}, model.KindInvalid, layer(func(w http.ResponseWriter) {
			_, _ = w.Write(make([]byte, len(b.Blobs[b.Layers[0]])))
		})},
		{"layer gone", model.Image{Ref: good}, model.KindNotFound, layer(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg.Spoil(c.spoil)
			_, err := r.Ensure(t.Context(), c.img, nil)
			if model.KindOf(err) != c.kind {
				t.Fatalf("%s: %v", model.KindOf(err), err)
			}
			t.Log(err)
			boxtest.Leftovers(t, r, cfg)
		})
	}
}

// A pull that is called off in the middle leaves nothing, and the next one begins afresh.
func TestPullCalledOff(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	reg := registrytest.New(t, registrytest.Options{})
	b := tiny(t, runtimetest.ImageSpec{})
	ref := reg.Push(t, "shop:1", b)
	ctx, cancel := context.WithCancel(t.Context())
	reg.Spoil(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodGet || !strings.HasSuffix(q.URL.Path, b.Layers[0]) {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(b.Blobs[b.Layers[0]])))
		_, _ = w.Write(b.Blobs[b.Layers[0]][:10])
		w.(http.Flusher).Flush()
		cancel()
		<-q.Context().Done()
		return true
	})
	if _, err := r.Ensure(ctx, model.Image{Ref: ref}, nil); model.KindOf(err) != model.KindCanceled {
		t.Errorf("%s: %v", model.KindOf(err), err)
	}
	boxtest.Leftovers(t, r, cfg)
	reg.Spoil(func(http.ResponseWriter, *http.Request) bool { return false })
	if img, err := r.Ensure(t.Context(), model.Image{Ref: ref}, nil); err != nil || img.Digest != b.Manifest {
		t.Errorf("%+v, %v", img, err)
	}
}

// The same image, asked for by many at once.
func TestPullAtOnce(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	reg := registrytest.New(t, registrytest.Options{})
	b := tiny(t, runtimetest.ImageSpec{})
	ref := reg.Push(t, "shop:1", b)
	archive := runtimetest.WriteTar(t, b.OCI())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if img, err := r.Ensure(t.Context(), model.Image{Ref: ref}, nil); err != nil || img.Digest != b.Manifest {
				t.Errorf("pulled %+v, %v", img, err)
			}
		})
		wg.Go(func() {
			f, err := os.Open(archive)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = f.Close() }()
			if img, err := r.Import(t.Context(), f); err != nil || img.Digest != b.Manifest {
				t.Errorf("imported %+v, %v", img, err)
			}
		})
	}
	wg.Wait()
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}
