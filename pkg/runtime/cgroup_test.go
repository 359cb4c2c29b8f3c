package runtime

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGroupsAreRemovedWithWhatIsInThem leaves behind what a shim does that is killed half-way: a group with a process.
func TestGroupsAreRemovedWithWhatIsInThem(t *testing.T) {
	g := newCgroups(fmt.Sprintf("/pandabox-test-%d", os.Getpid()))
	roots := []string{"/sys/fs/cgroup"}
	if !g.unified {
		roots = []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"}
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for _, root := range roots {
		dir := filepath.Join(root, g.parent, "half-made")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, cmd.Process.Pid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, root := range roots {
		if _, err := os.Stat(filepath.Join(root, g.parent)); !os.IsNotExist(err) {
			t.Errorf("%s%s is still there: %v", root, g.parent, err)
		}
	}
}
