package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// removeParallel bounds how many containers are removed at a time.
const removeParallel = 8

// Shutdown removes every container, giving each grace to end, and all networks, and closes the runtime. Images,
// volumes and logs stay.
func (r *Runtime) Shutdown(ctx context.Context, grace time.Duration) error {
	errs := []error{r.removeAll(ctx, grace), r.Close(ctx)}
	errs = append(errs, r.killShims(ctx), r.groups.remove(ctx), unmountBelow(r.cfg.RunDir), unmountBelow(r.cfg.engineDir()))
	return errors.Join(append(errs, r.net.Destroy(ctx))...)
}

// Purge is Shutdown without grace, and removes everything the runtime ever made: images, volumes, logs too.
func (r *Runtime) Purge(ctx context.Context) error {
	if err := r.Shutdown(ctx, 0); err != nil {
		return err
	}
	dirs := []string{
		r.cfg.engineDir(), r.cfg.partsDir(), r.cfg.networkDir(),
		filepath.Join(r.cfg.DataDir, "volumes"), filepath.Join(r.cfg.DataDir, "logs"),
		filepath.Join(r.cfg.RunDir, "containerd"), filepath.Join(r.cfg.RunDir, "s"), r.cfg.runcRoot(), r.cfg.etcDir(),
		r.cfg.fifoDir(), r.cfg.lockFile(), r.cfg.socket(), r.cfg.socket() + ".ttrpc", r.cfg.engineConf(), r.cfg.enginePid(),
	}
	var errs []error
	for _, d := range dirs {
		errs = append(errs, os.RemoveAll(d))
	}
	return errors.Join(errs...)
}

func (r *Runtime) removeAll(ctx context.Context, grace time.Duration) error {
	ctx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	records, err := r.client.ContainerService().List(ctx)
	if err != nil {
		return failure(err, "cannot list the containers")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(removeParallel)
	for _, c := range records {
		g.Go(func() error { return r.remove(ctx, nameOf(c.ID, c.Labels), grace) })
	}
	return g.Wait()
}

// killShims ends programs of ours that are left when every container is removed: shims that containerd lost, and what
// they have started since. It looks again until there are none.
func (r *Runtime) killShims(ctx context.Context) error {
	for {
		links, err := filepath.Glob("/proc/[0-9]*/exe")
		if err != nil {
			return err
		}
		found := false
		for _, l := range links {
			found = r.killPart(ctx, l) || found
		}
		if !found {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("ending what containerd lost: %w", err)
		}
	}
}

// killPart kills the process whose program link names, if that is one of our parts, and waits for its end. It tells
// whether it was.
func (r *Runtime) killPart(ctx context.Context, link string) bool {
	exe, err := os.Readlink(link)
	if err != nil || !strings.HasPrefix(exe, r.cfg.partsDir()+"/") {
		return false
	}
	pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
	if err != nil {
		return false
	}
	p, err := openProcess(pid)
	if err != nil {
		return false // gone
	}
	defer p.release()
	if still, err := os.Readlink(link); err != nil || still != exe {
		return false
	}
	_ = p.signal(syscall.SIGKILL)
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	_ = p.wait(patience)
	return true
}

// unmountBelow unmounts everything below dir, the deepest first.
func unmountBelow(dir string) error {
	all, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	slices.SortFunc(all, func(a, b *mountinfo.Info) int { return len(b.Mountpoint) - len(a.Mountpoint) })
	var errs []error
	for _, m := range all {
		if m.Mountpoint == dir {
			continue // a file system of its own, perhaps; not ours to unmount
		}
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", m.Mountpoint, err))
		}
	}
	return errors.Join(errs...)
}
