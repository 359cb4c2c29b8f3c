package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pandabox/pandabox/test/box"
)

// TestUnderTheUnit builds and deploys where the daemon may write what the systemd unit lets it, and where each of its lives
// has a mount namespace of its own while containerd stays in that of the first.
func TestUnderTheUnit(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/systemd/pandabox.service")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for line := range strings.Lines(string(unit)) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "RuntimeDirectory="); ok {
			dirs = slices.DeleteFunc(strings.Fields(list), func(d string) bool { return d == "pandabox" }) // the test's own is elsewhere
		}
	}
	for i := range dirs {
		dirs[i] = "/run/" + dirs[i]
	}
	f := start(t, box.Options{Confined: dirs}).folder("shop")
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/root/etc/pandabox-was-here", f.box.Pid()), nil, 0o600); err == nil {
		t.Error("the daemon can write everywhere")
	}
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, 0} {
		version := fmt.Sprint(i + 1)
		f.dockerfile(version, `RUN --mount=type=bind,target=/src --mount=type=cache,target=/kept ["/testapp", "echo", "step of `+version+`"]`)
		f.run(0, []string{`\] step of ` + version + `$`}, "deploy")
		f.answers("shop", "/", "shop "+version)
		if sig != 0 {
			if err := f.box.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := f.box.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.answers("shop", "/", "shop "+version)
		}
	}
}
