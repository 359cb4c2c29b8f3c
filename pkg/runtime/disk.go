package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// disk returns "MAJOR:MINOR" of the disk a folder is on, if the control group may be kept from taking all of its time;
// "" where it is no single disk, as with btrfs or NFS, or where the kernel has no such bounds.
func (g cgroups) disk(group, dir string) string {
	dev, err := wholeDisk(dir)
	if err != nil {
		return ""
	}
	root, file, none := "/sys/fs/cgroup/blkio", "blkio.throttle.write_bps_device", dev+" 0"
	if g.unified {
		root, file, none = "/sys/fs/cgroup", "io.max", dev+" wbps=max"
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+io"), 0); err != nil {
			return ""
		}
	}
	at := filepath.Join(root, group)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return ""
	}
	if err := os.WriteFile(filepath.Join(at, file), []byte(none), 0); err != nil {
		return "" // a container with a bound would be refused the same way
	}
	return dev
}

// wholeDisk returns "MAJOR:MINOR" of the disk that a folder's file system is on, or on a partition of.
func wholeDisk(dir string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", fmt.Errorf("looking at %s: %w", dir, err)
	}
	dev := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	at, err := filepath.EvalSymlinks("/sys/dev/block/" + dev)
	if err != nil {
		return "", fmt.Errorf("%s is on no disk: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(at, "partition")); err != nil {
		return dev, nil
	}
	whole, err := os.ReadFile(filepath.Join(filepath.Dir(at), "dev"))
	if err != nil {
		return "", fmt.Errorf("looking for the disk of %s: %w", dev, err)
	}
	return strings.TrimSpace(string(whole)), nil
}
