package runtime

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The users of a workload's containers are mapped to a range of their own on the box. The ranges begin above what
// distributions hand out to people and end below 2³¹; workloads that meet in one still have their own mounts,
// processes and network.
const (
	userRangeSize  = 65536
	userRangeFirst = 16
	userRanges     = 16384
)

func userRange(workloadID string) []specs.LinuxIDMapping {
	h := fnv.New32a()
	_, _ = h.Write([]byte(workloadID))
	first := (userRangeFirst + h.Sum32()%userRanges) * userRangeSize
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: first, Size: userRangeSize}}
}

// canIsolateUsers tells whether containers can have users of their own: the kernel must map ids in overlays, and on the
// file systems of layers and volumes (tmpfs before 6.3 and NFS cannot).
func (r *Runtime) canIsolateUsers(ctx context.Context) (bool, error) {
	if r.cfg.NoUserNamespaces {
		return false, nil
	}
	capable, err := r.client.GetSnapshotterCapabilities(ctx, snapshotter)
	if err != nil {
		return false, fmt.Errorf("asking the snapshotter: %w", err)
	}
	if !slices.Contains(capable, "remap-ids") {
		err = errors.New("the kernel cannot map ids in overlays")
	}
	for _, dir := range []string{r.cfg.engineDir(), r.cfg.volumesDir()} {
		if err == nil {
			err = canMapIDs(dir)
		}
	}
	if err != nil {
		r.log.Warn().Err(err).Msg("containers get no users of their own; root in a container is root on the box, without its powers")
	}
	return err == nil, nil
}

// canMapIDs tries to map ids on dir's file system. What it mounts is never attached anywhere.
func canMapIDs(dir string) error {
	ids := fmt.Sprintf("0:%d:%d", userRangeFirst*userRangeSize, userRangeSize)
	ns, err := mount.GetUsernsFD(ids, ids)
	if err != nil {
		return fmt.Errorf("making a user namespace: %w", err)
	}
	defer func() { _ = ns.Close() }()
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return &os.PathError{Op: "open_tree", Path: dir, Err: err}
	}
	defer func() { _ = unix.Close(tree) }()
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return &os.PathError{Op: "mapping ids on", Path: dir, Err: err}
	}
	return nil
}
