package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
)

var page = api.Page{}

func ref(app string) client.Ref { return client.Ref{App: app} }

// cmdline returns a process's arguments, nil once it is gone.
func cmdline(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
}

// parent returns a process's parent, 0 once it is gone.
func parent(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	after := b[bytes.LastIndexByte(b, ')')+1:]
	var state byte
	var ppid int
	if _, err := fmt.Sscanf(string(after), " %c %d", &state, &ppid); err != nil {
		return 0
	}
	return ppid
}

// links returns the network links whose name begins with prefix.
func (w *world) links(prefix string) []string {
	w.Helper()
	out, err := exec.Command("ip", "-o", "link").Output()
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], prefix) {
			name, _, _ := strings.Cut(strings.TrimSuffix(f[1], ":"), "@")
			names = append(names, name)
		}
	}
	return names
}

// mounts returns the mount points below the box's directory, deepest first.
func (w *world) mounts() []string {
	w.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], w.box.Dir+"/") {
			out = append([]string{f[4]}, out...)
		}
	}
	return out
}

// gateways returns the box's own addresses on its bridges.
func (w *world) gateways() []string {
	w.Helper()
	out, err := exec.Command("ip", "-o", "-4", "addr").Output()
	if err != nil {
		w.Fatal(err)
	}
	var addrs []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasPrefix(f[1], "pbx"+w.instance) {
			a, _, _ := strings.Cut(f[3], "/")
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		w.Fatal("no bridge of this box has an address")
	}
	return addrs
}

// listen serves HTTP on every address of the box and returns the port.
func (w *world) listen() (int, error) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return 0, err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the box")) }), ReadHeaderTimeout: time.Second}
	go func() { _ = s.Serve(l) }()
	w.Cleanup(func() { _ = s.Close() })
	return l.Addr().(*net.TCPAddr).Port, nil
}

func untar(t *testing.T, file, dir string) {
	t.Helper()
	if out, err := exec.Command("tar", "-xf", file, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpacking: %v\n%s", err, out)
	}
}

// leftovers insists that nothing of a closed box is left on this machine.
func (w *world) leftovers() {
	w.Helper()
	if left := w.mounts(); len(left) != 0 {
		w.Errorf("mounts left: %v", left)
	}
	if left := w.links("pbx" + w.instance); len(left) != 0 {
		w.Errorf("links left: %v", left)
	}
	if left := pidsOf(w.T, func(c string) bool { return strings.Contains(c, w.box.Dir+"/") }); len(left) != 0 {
		for _, pid := range left {
			w.Errorf("process left: %d %v", pid, cmdline(pid))
		}
	}
	if out, err := exec.Command("nft", "list", "tables").Output(); err != nil || strings.Contains(string(out), "pandabox_"+w.instance) {
		w.Errorf("rules left: %s %v", out, err)
	}
	for _, root := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} { // of v2, of v1
		if left, err := filepath.Glob(root + "pandabox-" + w.instance + "*"); err != nil || len(left) != 0 {
			w.Errorf("cgroups left: %v %v", left, err)
		}
	}
}
