package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/containerd/containerd/v2/cmd/containerd/command"
	plugins "github.com/containerd/plugin/registry"
)

// ChildMain is containerd: what the binary does when the runtime starts it again as its child. args are those after
// the sub-command. It returns an exit code when containerd has ended.
//
// It holds a lock on its pid file for as long as it lives, so that a runtime that was killed while this one started
// finds it again, and two never share one root.
func ChildMain(args []string) int {
	if len(args) != 2 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: pandabox containerd CONFIG PIDFILE (started by pandabox itself)")
		return 2
	}
	lock, err := lockPidFile(args[1])
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "containerd:", err)
		return 1
	}
	defer func() { _ = lock.Close() }()
	plugins.Register(cleanupPlugin())
	ctx := context.Background() //nolint:forbidigo // this is a main function, of the child
	if err := command.App().Run(ctx, []string{"containerd", "--config", args[0]}); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "containerd:", err)
		return 1
	}
	return 0
}

// errLocked means another process holds the pid file.
var errLocked = errors.New("already running")

func lockPidFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the pid file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("locking the pid file: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the pid file: %w", err), f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the pid file: %w", err), f.Close())
	}
	return f, nil
}

// lockHolder returns the process that holds the pid file, 0 when none does. A holder that has not yet written its
// number is returned as -1.
func lockHolder(path string) (int, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the pid file: %w", err)
	}
	defer func() { _ = f.Close() }()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		return 0, nil
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return 0, fmt.Errorf("reading the pid file: %w", err)
	}
	b := make([]byte, 16)
	n, _ := f.ReadAt(b, 0)
	var pid int
	if _, err := fmt.Sscanf(string(b[:n]), "%d\n", &pid); err != nil || pid <= 0 {
		return -1, nil
	}
	return pid, nil
}
