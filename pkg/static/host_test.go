package static

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

func siteSpec(t *testing.T, s *Store, release int, files map[string]string) model.ContainerSpec {
	t.Helper()
	digest, _, err := s.Import(t.Context(), archive(t, files))
	if err != nil {
		t.Fatal(err)
	}
	r := model.Replica{Role: model.RoleReplica, WorkloadID: "w1", Release: release, Generation: 1, Process: "web", Index: 1}
	return model.ContainerSpec{Name: r.Name(), Replica: r, Static: &model.Static{Digest: digest}}
}

func newHost(t *testing.T, s *Store) *Host {
	t.Helper()
	h, err := NewHost(s, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func served(h *Host, name string) (int, string) {
	w := httptest.NewRecorder()
	h.Serve(name, w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

func TestHost(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	events := h.Events(ctx)
	one, two := siteSpec(t, s, 1, map[string]string{"index.html": "one"}), siteSpec(t, s, 2, map[string]string{"index.html": "two", "a": "a"})
	for _, spec := range []model.ContainerSpec{one, two, one} { // starting twice is starting once
		c, err := h.Start(t.Context(), spec)
		if err != nil || c.State != model.ContainerRunning || c.Name != spec.Name || c.Replica != spec.Replica {
			t.Fatalf("started as %+v, %v", c, err)
		}
	}
	<-events
	if code, body := served(h, one.Name); code != http.StatusOK || body != "one" {
		t.Errorf("it answers %d %q", code, body)
	}
	again := newHost(t, s) // as after a crash
	all, err := again.List(t.Context())
	if err != nil || len(all) != 2 || all[0].Detail != "1 file, 3 bytes" || all[1].Detail != "2 files, 4 bytes" {
		t.Errorf("after a crash there are %+v, %v", all, err)
	}
	if code, body := served(again, two.Name); code != http.StatusOK || body != "two" {
		t.Errorf("after a crash it answers %d %q", code, body)
	}

	gone := make(chan error, 1)
	go func() {
		exit, err := again.Wait(t.Context(), one.Name)
		if err == nil && !exit.Known {
			err = os.ErrInvalid
		}
		gone <- err
	}()
	for range 2 { // removing twice is removing once
		if err := again.Remove(t.Context(), one.Name, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-gone; err != nil && model.KindOf(err) != model.KindNotFound { // it may have been asked too late
		t.Error(err)
	}
	if code, _ := served(again, one.Name); code != http.StatusServiceUnavailable || again.Has(one.Name) {
		t.Errorf("what is removed answers %d", code)
	}
	if _, ok := again.Usage(two.Name); !ok {
		t.Error("what is served has no usage")
	}
	if last, err := newHost(t, s).List(t.Context()); err != nil || len(last) != 1 {
		t.Errorf("after removing there are %+v, %v", last, err)
	}

	if err := again.Reclaim(nil, time.Now().Add(2*unnamedFor)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Site(two.Static.Digest); err != nil {
		t.Errorf("a site that is served was reclaimed: %v", err)
	}
	if _, err := again.Start(t.Context(), one); model.KindOf(err) != model.KindNotFound {
		t.Errorf("a reclaimed site starts: %v", err)
	}
	cancel()
	for range events { // it ends with ctx
	}
}

func TestHostRefusesNames(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, s)
	spec := siteSpec(t, s, 1, map[string]string{"index.html": "one"})
	for _, name := range []string{"", "../x", "w1-v2-g1-web-1"} {
		other := spec
		other.Name = name
		if _, err := h.Start(t.Context(), other); err == nil {
			t.Errorf("%q was started", name)
		}
	}
	if _, err := h.Start(t.Context(), model.ContainerSpec{Name: spec.Name, Replica: spec.Replica}); err == nil {
		t.Error("what is no site was started")
	}
}

func TestHostForgetsWhatACrashBroke(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, s)
	if _, err := h.Start(t.Context(), siteSpec(t, s, 1, map[string]string{"index.html": "one"})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"w1-v2-g1-web-1", ".new-1"} {
		if err := os.WriteFile(filepath.Join(s.dir, "started", name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := newHost(t, s).List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("there are %+v, %v", all, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "started", "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
