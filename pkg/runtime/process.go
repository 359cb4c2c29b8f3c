package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errEnded is what wait returns of a process that ended and was not our child.
var errEnded = errors.New("the process ended")

// wait returns how the process ended, or nil when ctx ended first. Only one wait may be under way at a time.
func (p *process) wait(ctx context.Context) error {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("watching process %d: %w", p.pid, err)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !stop() {
			<-woken
		}
		_ = unix.Close(wake)
	}()
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watching process %d: %w", p.pid, err)
		}
		switch {
		case fds[0].Revents != 0:
			return p.reap()
		case fds[1].Revents != 0:
			return nil
		}
	}
}

func (p *process) reap() error {
	if p.child != nil && p.child.ProcessState == nil {
		if err := p.child.Wait(); err != nil {
			return err
		}
	}
	return errEnded
}

// openProcess gets hold of a process that is not our child.
func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	return &process{pid: pid, fd: fd}, nil
}

func (p *process) signal(s syscall.Signal) error { return unix.PidfdSendSignal(p.fd, s, nil, 0) }

func (p *process) release() { _ = unix.Close(p.fd) }

// runs tells whether the process runs the program at path: the same file, not an older one of that name.
func (p *process) runs(path string) bool {
	a, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// boundLog moves the content of a log that has grown over max bytes aside, in place of what was aside before. The
// writer keeps its descriptor, which appends.
func boundLog(path string, most int64) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() <= most {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bounding %s: %w", path, err)
	}
	src, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("bounding %s: %w", path, err)
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(path+".1", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("bounding %s: %w", path, err)
	}
	defer func() { _ = dst.Close() }()
	if _, err := io.Copy(dst, io.NewSectionReader(src, st.Size()-most, most)); err != nil {
		return fmt.Errorf("bounding %s: %w", path, err)
	}
	if err := os.Truncate(path, 0); err != nil {
		return fmt.Errorf("bounding %s: %w", path, err)
	}
	return nil
}
