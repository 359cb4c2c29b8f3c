package boxtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/runtime"
)

// state is what an instance has on the box outside its directories, one line each.
type state []string

// snapshot looks for everything that carries the instance's mark: mounts, interfaces, cgroups, processes.
func snapshot(cfg runtime.Config) state {
	id := runtime.InstanceID(cfg.DataDir)
	var out state
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && (strings.HasPrefix(f[4], cfg.DataDir+"/") || strings.HasPrefix(f[4], cfg.RunDir+"/")) {
			out = append(out, "mount "+f[4])
		}
	}
	links, _ := os.ReadDir("/sys/class/net")
	for _, l := range links {
		if n := l.Name(); strings.HasPrefix(n, "pbx"+id) || strings.HasPrefix(n, "pbv"+id) {
			out = append(out, "interface "+n)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/pandabox-" + id + "*", "/sys/fs/cgroup/*/pandabox-" + id + "*"} {
		found, _ := filepath.Glob(pattern)
		for _, g := range found {
			out = append(out, "cgroup "+g)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		b, _ := os.ReadFile(p)
		line := strings.ReplaceAll(string(b), "\x00", " ")
		if strings.Contains(line, cfg.DataDir) || strings.Contains(line, cfg.RunDir) {
			out = append(out, fmt.Sprintf("process %s: %s", filepath.Base(filepath.Dir(p)), line))
		}
	}
	slices.Sort(out)
	return out
}

func (s state) since(before state) []string {
	var out []string
	for _, l := range s {
		if !slices.Contains(before, l) {
			out = append(out, l)
		}
	}
	return out
}

// Leftovers fails the test unless the runtime has no container, image, snapshot, lease, content, mount, interface of a
// container, cgroup of a container or process of one. Networks of environments may stay: Reclaim takes them.
func Leftovers(t testing.TB, r *runtime.Runtime, cfg runtime.Config) {
	t.Helper()
	left, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatalf("taking stock: %v", err)
	}
	for _, l := range snapshot(cfg) {
		id := runtime.InstanceID(cfg.DataDir)
		switch {
		case strings.HasPrefix(l, "interface pbx"+id), strings.HasSuffix(l, "/pandabox-"+id):
		case strings.HasPrefix(l, "process") && strings.Contains(l, " containerd "+cfg.RunDir):
		default:
			left = append(left, l)
		}
	}
	for _, l := range left {
		t.Errorf("left behind: %s", l)
	}
}
