package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// apps returns the processes of testapp that serve in this box's containers, by their cgroup.
func (w *world) apps() []int {
	w.Helper()
	var out []int
	for _, r := range w.replicas() {
		out = append(out, r...)
	}
	slices.Sort(out)
	return out
}

// replicas returns the processes of testapp by container, found through the shims of this box.
func (w *world) replicas() map[string][]int {
	w.Helper()
	found := map[string][]int{}
	for _, pid := range pidsOf(w.T, func(c string) bool { return strings.HasPrefix(c, "/testapp") }) {
		if id, ok := w.containerOf(pid); ok {
			found[id] = append(found[id], pid)
		}
	}
	return found
}

// containerOf returns the container of this box a process runs in: its parent is the container's shim.
func (w *world) containerOf(pid int) (string, bool) {
	for ; pid > 1; pid = parent(pid) {
		args := cmdline(pid)
		if len(args) > 0 && strings.Contains(filepath.Base(args[0]), "shim") && slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, w.box.RunDir+"/") }) {
			if i := slices.Index(args, "-id"); i >= 0 && i+1 < len(args) {
				return args[i+1], true
			}
		}
	}
	return "", false
}

func TestDaemonKilled(t *testing.T) {
	w := start(t)
	w.succeed("web", vars(w.image(), "VERSION=1"))
	before := w.apps()
	if len(before) == 0 {
		t.Fatal("no process of the app was found")
	}
	for range 3 {
		if err := w.box.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := w.box.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.eventually("the app's answer", func() bool { _, body, err := w.get("web", "/"); return err == nil && body == "web 1" })
	}
	if after := w.apps(); !slices.Equal(before, after) {
		t.Fatalf("containers were restarted: %v, then %v", before, after)
	}
	w.succeed("web", vars(w.image(), "VERSION=1"))
}

func TestContainerdKilled(t *testing.T) {
	w := start(t)
	w.succeed("web", vars(w.image(), "VERSION=1"))
	before := w.apps()

	var failed, asked atomic.Int64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			asked.Add(1)
			if code, _, err := w.get("web", "/"); err != nil || code != http.StatusOK {
				failed.Add(1)
			}
		}
	}()
	for range 3 {
		pids := w.containerd()
		if len(pids) != 1 {
			t.Fatalf("containerd of this box: %v", pids)
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.eventually("a new containerd", func() bool { now := w.containerd(); return len(now) == 1 && now[0] != pids[0] })
	}
	w.eventually("the app is running", func() bool { return w.status("web").State == model.WorkloadRunning })
	close(stop)
	<-done
	if failed.Load() != 0 || asked.Load() < 10 {
		t.Fatalf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	if after := w.apps(); !slices.Equal(before, after) {
		t.Fatalf("containers were restarted: %v, then %v", before, after)
	}
	w.succeed("web", vars(w.image(), "VERSION=2"))
	w.answers("web", "/", "web 2")
}

// containerd returns the processes of this box's containerd.
func (w *world) containerd() []int {
	return pidsOf(w.T, func(c string) bool {
		return strings.Contains(c, " containerd ") && strings.Contains(c, w.box.RunDir+"/")
	})
}

// TestReboot kills everything at once and takes the network away, as a power cut does.
func TestReboot(t *testing.T) {
	w := start(t)
	img := w.image()
	names := []string{"one", "two", "three"}
	for _, name := range names {
		w.succeed(name, vars(img, "VERSION=of "+name))
	}
	w.powerCut()
	if err := w.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pending := map[string]bool{}
	for _, name := range names {
		pending[name] = true
	}
	w.eventually("every app's answer", func() bool {
		for _, name := range names {
			code, body, err := w.get(name, "/")
			want := fmt.Sprintf("%s of %s", name, name)
			if err == nil && code == http.StatusOK && body != want {
				t.Fatalf("%s answered %q", name, body)
			}
			if body == want {
				delete(pending, name)
			}
		}
		return len(pending) == 0
	})
	for _, name := range names {
		d, err := w.api.Deploys(t.Context(), ref(name), page)
		if err != nil || len(d.Items) != 1 {
			t.Fatalf("deploys of %s after the reboot: %v, %v", name, d.Items, err)
		}
	}
}

// powerCut kills every process of the box and removes its mounts, links and rules.
func (w *world) powerCut() {
	w.Helper()
	var kill []int
	for _, pids := range w.replicas() {
		kill = append(kill, pids...)
	}
	kill = append(kill, pidsOf(w.T, func(c string) bool { return strings.Contains(c, w.box.RunDir+"/") && strings.Contains(c, "shim") })...)
	kill = append(kill, w.containerd()...)
	if err := w.box.Signal(syscall.SIGKILL); err != nil {
		w.Fatal(err)
	}
	for _, pid := range kill {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	w.eventually("the end of every process", func() bool { return len(w.containerd()) == 0 && len(w.apps()) == 0 })
	id := w.instance
	for _, link := range w.links("pbx" + id) {
		if out, err := exec.Command("ip", "link", "delete", link).CombinedOutput(); err != nil {
			w.Fatalf("deleting %s: %v\n%s", link, err, out)
		}
	}
	if out, err := exec.Command("nft", "delete", "table", "inet", "pandabox_"+id).CombinedOutput(); err != nil {
		w.Logf("deleting the rules: %v %s", err, out)
	}
	for _, m := range w.mounts() {
		_ = syscall.Unmount(m, syscall.MNT_DETACH)
	}
}
