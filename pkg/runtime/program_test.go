package runtime_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// A command that cannot be run is said to be one, at once, with what to do, and nothing of the container stays.
func TestBadPrograms(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{Files: []runtimetest.File{
		{Path: "/plain", Mode: 0o644, Content: []byte("x")},
		{Path: "/dir", Mode: 0o755 | os.ModeDir},
		{Path: "/script", Mode: 0o755, Content: []byte("#!/bin/nowhere\n")},
		{Path: "/foreign", Mode: 0o755, Content: []byte("\x7fELF\x02\x01\x01 not for here")},
		{Path: "/noshebang", Mode: 0o755, Content: []byte("echo hello\n")},
	}}))
	for command, says := range map[string]string{
		"nowhere":  "no such program",
		"/nowhere": "no such program",
		"/plain":   "permission denied",
		"/dir":     "",
	} {
		t.Run(command, func(t *testing.T) {
			_, err := r.Start(t.Context(), boxtest.Spec(img, 1, command))
			var e *model.Error
			if !errors.As(err, &e) || e.Kind != model.KindInvalid || e.Hint == "" || !strings.Contains(e.Why, says) {
				t.Fatalf("%#v", err)
			}
			t.Log(e.What, "|", e.Why, "|", e.Hint)
		})
	}
	t.Run("no memory to start in", func(t *testing.T) {
		spec := boxtest.Spec(img, 1)
		spec.Limits.Memory = 1 << 20
		_, err := r.Start(t.Context(), spec)
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != model.KindInvalid || !strings.Contains(e.Why, "memory limit") {
			t.Fatalf("%#v", err)
		}
	})
	t.Run("the least memory", func(t *testing.T) {
		spec := boxtest.Spec(img, 1, "/app", "exit", "0")
		spec.Limits.Memory = model.MinMemory
		if _, err := r.Start(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		if e, err := r.Wait(t.Context(), spec.Name); err != nil || e.Code != 0 {
			t.Errorf("waited for %+v, %v", e, err)
		}
		if err := r.Remove(t.Context(), spec.Name, 0); err != nil {
			t.Fatal(err)
		}
	})
	// What only the kernel can tell is told as the way the container ended.
	for command, says := range map[string]string{
		"/script":    "interpreter",
		"/foreign":   "architecture",
		"/noshebang": "#!",
	} {
		t.Run(command, func(t *testing.T) {
			spec := boxtest.Spec(img, 1, command)
			if _, err := r.Start(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			e, err := r.Wait(t.Context(), spec.Name)
			if err != nil || !strings.Contains(e.Message, says) {
				t.Errorf("waited for %+v, %v", e, err)
			}
			t.Log(e)
			if err := r.Remove(t.Context(), spec.Name, 0); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

// Without user namespaces everything else stays as it is.
func TestWithoutUserNamespaces(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.NoUserNamespaces = true
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{User: "1000"}))
	spec := boxtest.Spec(img, 1)
	spec.Mounts = []model.Mount{{Volume: "data", Path: "/storage"}}
	c, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	if ids := strings.Fields(get(t, c, "/read?path=/proc/self/uid_map")); len(ids) != 3 || ids[1] != "0" {
		t.Errorf("uid map %v", ids)
	}
	if msg := get(t, c, "/write?path=/storage/note&text=kept"); msg != "" {
		t.Errorf("writing to the volume: %s", msg)
	}
	if status := get(t, c, "/status"); !strings.Contains(status, "Uid:\t1000\t1000") || !strings.Contains(status, "CapEff:\t0000000000000000") {
		t.Errorf("status:\n%s", status)
	}
	if err := r.Remove(t.Context(), c.Name, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}
