// Package supervise keeps a daemon running on a box without systemd: a small parent process that starts it again when
// it dies, and the means to start and stop that parent.
package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
)

// How soon a dead daemon is started again: at once, then twice as late each time, until it has stayed up for steady.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 10 * time.Second
	steady     = 10 * time.Second
)

// StopGrace is how long a daemon has to end after SIGTERM before it is killed.
const StopGrace = 90 * time.Second

// pidFile returns the supervisor's pid file; its lock is held as long as the supervisor lives.
func pidFile(runDir string) string { return filepath.Join(runDir, "supervisor.pid") }

// Run starts command and starts it again whenever it ends with a failure, until ctx ends or it ends by itself with
// success. Ending ctx sends SIGTERM and waits up to StopGrace. A second supervisor of the same runDir is refused.
func Run(ctx context.Context, runDir string, command []string) error {
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", runDir, err)
	}
	lock, err := os.OpenFile(pidFile(runDir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the pid file: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return model.Conflict("pandabox is running already").WithHint("see it with: pandabox status")
	}
	if err := writePid(lock); err != nil {
		return err
	}
	defer func() { _ = os.Remove(lock.Name()) }()

	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		if err := once(ctx, command); err == nil || ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > steady {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
	return nil
}

func writePid(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("writing the pid file: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("writing the pid file: %w", err)
	}
	return nil
}

// once runs command to its end.
func once(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = StopGrace
	return cmd.Run()
}

// Running returns the pid of runDir's supervisor, 0 when there is none.
func Running(runDir string) (int, error) {
	f, err := os.Open(pidFile(runDir))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("opening the pid file: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err == nil {
		return 0, nil // nobody holds it: left behind
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return 0, fmt.Errorf("reading the pid file: %w", err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return 0, fmt.Errorf("reading the pid file: %w", err)
	}
	return pid, nil
}

// Start starts command, which must call Run, in a session of its own with its output in logFile.
func Start(command []string, logFile string) (*os.Process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	return cmd.Process, nil
}

// Stop ends runDir's supervisor and with it the daemon, and waits until both are gone or ctx ends. It tells whether
// there was one.
func Stop(ctx context.Context, runDir string) (bool, error) {
	pid, err := Running(runDir)
	if err != nil || pid == 0 {
		return false, err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return true, fmt.Errorf("stopping the supervisor: %w", err)
	}
	for {
		if pid, err := Running(runDir); err != nil || pid == 0 {
			return true, err
		}
		select {
		case <-ctx.Done():
			return true, fmt.Errorf("waiting for the supervisor to end: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
