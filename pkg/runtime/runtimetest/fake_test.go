package runtimetest_test

import (
	"errors"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
)

var (
	_ runtimetest.Runtime = (*runtimetest.Fake)(nil)
	_ runtimetest.Images  = (*runtimetest.Fake)(nil)
)

func TestFakeConforms(t *testing.T) {
	runtimetest.TestConformance(t, func(*testing.T) runtimetest.Subject {
		f := runtimetest.NewFake(nil)
		return runtimetest.Subject{Runtime: f, Images: f, Image: func(t *testing.T, spec runtimetest.ImageSpec) model.Image {
			b := runtimetest.Build(t, spec)
			c := &model.ImageConfig{Entrypoint: spec.Entrypoint, Cmd: spec.Cmd, Ports: spec.Ports, User: spec.User}
			if !spec.NoApp && c.Entrypoint == nil {
				c.Entrypoint = []string{"/app"}
			}
			return f.AddImage(model.Image{Digest: b.Manifest, Config: c})
		}}
	})
}

func TestFakeInjects(t *testing.T) {
	f := runtimetest.NewFake(nil)
	img := f.AddImage(model.Image{Ref: "shop:1"})
	r := model.Replica{WorkloadID: "w", Process: "web", Index: 1}
	start := func() model.Container {
		t.Helper()
		c, err := f.Start(t.Context(), model.ContainerSpec{Replica: r, Name: r.Name(), Image: img.Digest})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for want, inject := range map[string]func(string) bool{
		"was killed: out of memory":  f.OOM,
		"exited with code 4":         func(n string) bool { return f.Crash(n, 4) },
		"ended while nobody watched": f.Lose,
	} {
		c := start()
		if !inject(c.Name) || inject(c.Name) {
			t.Errorf("%q: ends exactly once", want)
		}
		if e, err := f.Wait(t.Context(), c.Name); err != nil || e.String() != want {
			t.Errorf("waited for %q, %v; want %q", e, err, want)
		}
	}
	down := model.Errorf(model.KindUnavailable, "down")
	f.FailAll(down)
	if _, err := f.List(t.Context()); !errors.Is(err, down) {
		t.Errorf("while down: %v", err)
	}
	f.FailAll(nil)
	f.FailStart(func(model.ContainerSpec) error { return model.Invalid("no") })
	if _, err := f.Start(t.Context(), model.ContainerSpec{Name: "x", Image: img.Digest}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("an injected failure: %v", err)
	}
}
