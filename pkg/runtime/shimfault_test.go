package runtime_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// partPid finds a container's shim or log writer.
func partPid(t *testing.T, cfg runtime.Config, part, container string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		b, _ := os.ReadFile(p)
		args := strings.Split(string(b), "\x00")
		if strings.HasPrefix(args[0], cfg.DataDir) && filepath.Base(args[0]) == part && strings.Contains(string(b), container) {
			var pid int
			if _, err := fmt.Sscanf(p, "/proc/%d/cmdline", &pid); err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no %s of %s", part, container)
	return 0
}

// A shim or log writer that is killed takes its container with it. That is noticed, and the container can be replaced.
func TestPartKilled(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	for i, part := range []string{"shim", "log"} {
		t.Run(part, func(t *testing.T) {
			spec := boxtest.Spec(img, i+1)
			spec.Mounts = []model.Mount{{Volume: "data", Path: "/storage"}}
			c, err := r.Start(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
			events := r.Events(t.Context())
			if err := syscall.Kill(partPid(t, cfg, part, c.Name), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if part == "log" { // the next line that nobody reads ends the app
				boxtest.Eventually(t, "the app is gone", func() bool { return get(t, c, "/log?text=into+the+void") == "" && get(t, c, "/up") == "" })
			}
			<-events
			if e, err := r.Wait(t.Context(), c.Name); err != nil || e.At.IsZero() {
				t.Errorf("waited for %+v, %v", e, err)
			}
			again, err := r.Start(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			boxtest.Eventually(t, "its replacement answers", func() bool { return get(t, again, "/up") != "" })
			if err := r.Remove(t.Context(), c.Name, 0); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

// A newer pandabox replaces the containerd of the older one, and the apps do not notice.
func TestUpgrade(t *testing.T) {
	cfg := boxtest.Config(t)
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(t.TempDir(), "pandabox")
	install := func() {
		t.Helper()
		if err := os.WriteFile(exe+".new", b, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(exe+".new", exe); err != nil {
			t.Fatal(err)
		}
	}
	install()
	cfg.ChildCommand = []string{exe, "containerd"}
	killedDaemon(t, cfg, boxtest.Spec(model.Image{}, 1), false)
	before := enginePid(t, cfg)
	install()
	r := boxtest.Start(t, cfg)
	if now := enginePid(t, cfg); now == before {
		t.Error("the older containerd runs on")
	}
	all, err := r.List(t.Context())
	if err != nil || len(all) != 1 || all[0].State != model.ContainerRunning {
		t.Fatalf("found %+v, %v", all, err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, all[0], "/up") != "" })
}
