//go:build linux

package build

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// unmount takes off every mount below a folder, as a BuildKit leaves them that was killed, and removes their points.
func unmount(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("listing the mounts: %w", err)
	}
	var points []string
	for row := range strings.Lines(string(table)) {
		if f := strings.Fields(row); len(f) > 4 {
			if p := unescaped(f[4]); strings.HasPrefix(p, dir+"/") {
				points = append(points, p)
			}
		}
	}
	slices.SortFunc(points, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // what is deeper first
	var errs []error
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", p, err))
			continue
		}
		_ = os.Remove(p) // a folder that is not empty was no mount point of BuildKit's making
	}
	return errors.Join(errs...)
}

// startAmong starts a command that sees, and makes, the mounts of another mount namespace.
func startAmong(cmd *exec.Cmd, namespace string) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()              // which is not for others any more: it ends with this goroutine
		if unix.Gettid() == unix.Getpid() { // the first never ends, and /proc/self is what it sees
			err := startAmong(cmd, namespace)
			runtime.UnlockOSThread()
			started <- err
			return
		}
		started <- func() error {
			ns, err := os.Open(namespace)
			if err != nil {
				return err
			}
			defer func() { _ = ns.Close() }()
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil { //nolint:gosec // a file descriptor
				return fmt.Errorf("entering %s: %w", namespace, err)
			}
			return cmd.Start()
		}()
	}()
	return <-started
}

// unescaped is a path as the kernel meant it: it writes spaces, tabs, newlines and backslashes as octal numbers.
func unescaped(p string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(p)
}
