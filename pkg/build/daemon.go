//go:build linux

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/grpcerrors"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/pandabox/pandabox/pkg/model"
)

// How long BuildKit may take to answer for the first time, and to end.
const (
	startTime = 30 * time.Second
	stopTime  = 10 * time.Second
	childNice = 10      // as nice(1) counts
	logKept   = 4 << 20 // bytes of BuildKit's own log; a larger one is begun anew
)

// buildkit is the child that builds, while it runs. It ends with the daemon: its standard input is a pipe that nobody
// writes to, and whose end it takes for the end of its parent.
type buildkit struct {
	cmd    *exec.Cmd
	alive  io.Closer // its standard input
	client *client.Client
	root   string // of its state
	engine engine // the containerd it works with
	ended  chan struct{}
	err    error // why it ended; read after ended is closed
}

// startBuildkit starts the child and waits until it answers.
func startBuildkit(ctx context.Context, c Config, site Site) (_ *buildkit, err error) {
	root := filepath.Join(c.DataDir, "build")
	tmp := filepath.Join(root, "tmp") // /tmp of a service that was restarted is gone for those who stay in its namespace
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("making BuildKit's directory: %w", err)
	}
	child := childConfig{
		Root: root, Socket: c.socket(), Network: c.networkSocket(), Containerd: site.Containerd, Namespace: site.Namespace,
		Shim: site.Shim, Runc: site.Runc, RuncRoot: site.RuncRoot, Cgroup: site.Cgroup, CacheMax: c.CacheMax, FreeMin: c.FreeMin, Mirrors: c.Mirrors,
	}
	if site.Disk != "" {
		child.Disk, child.DiskRate = site.Disk, c.DiskRate
	}
	if site.DNS.IsValid() {
		child.DNS = []string{site.DNS.String()}
	}
	text, err := json.Marshal(child)
	if err != nil {
		return nil, fmt.Errorf("writing BuildKit's configuration: %w", err)
	}
	file := filepath.Join(c.RunDir, "buildkit.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("writing BuildKit's configuration: %w", err)
	}
	out, err := openLog(filepath.Join(root, "buildkit.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	argv := append(c.ChildCommand[:len(c.ChildCommand):len(c.ChildCommand)], file)
	b := &buildkit{cmd: exec.Command(argv[0], argv[1:]...), root: root, engine: engineAt(site.Containerd), ended: make(chan struct{})}
	// Without a PATH there is no git, which would fetch as root of the box, and whose sources all orgs would share. And of a
	// step's output only what is too much is cut, not what is too fast.
	b.cmd.Env = []string{"TMPDIR=" + tmp, "BUILDKIT_STEP_LOG_MAX_SPEED=-1"}
	b.cmd.Dir = "/"
	b.cmd.Stdout, b.cmd.Stderr = out, out
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if b.alive, err = b.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting BuildKit: %w", err)
	}
	if err := startAmong(b.cmd, site.Mounts); err != nil {
		return nil, fmt.Errorf("starting BuildKit: %w", err)
	}
	// Compressing layers is work that can wait. Every thread it will have begins with what it has now.
	_ = unix.Setpriority(unix.PRIO_PGRP, b.cmd.Process.Pid, childNice) // without it the build is no worse
	go func() {
		defer close(b.ended)
		b.err = b.cmd.Wait()
	}()
	if err := b.answers(ctx, c.socket()); err != nil {
		b.stop()
		return nil, model.Errorf(model.KindUnavailable, "the builder does not start").Wrap(err).WithWhy("%s: %s", err, lastLine(out.Name())).
			WithHint("see %s", out.Name())
	}
	return b, nil
}

func openLog(name string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if st, err := os.Stat(name); err == nil && st.Size() > logKept {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening BuildKit's log: %w", err)
	}
	return f, nil
}

// lastLine returns the last line of a small log.
func lastLine(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	b = bytes.TrimSpace(b)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}

// answers waits until BuildKit lists its worker.
func (b *buildkit) answers(ctx context.Context, socket string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if b.client, err = client.New(ctx, "unix://"+socket); err != nil {
		return fmt.Errorf("connecting to BuildKit: %w", err)
	}
	for {
		workers, err := b.client.ListWorkers(ctx)
		if err == nil && len(workers) > 0 {
			return nil
		}
		select {
		case <-b.ended:
			return fmt.Errorf("it ended: %w", b.err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// running tells whether the child has not ended.
func (b *buildkit) running() bool {
	select {
	case <-b.ended:
		return false
	default:
		return true
	}
}

// lostTime is how long the end of a process is waited for after its connections broke.
const lostTime = time.Second

// lost tells whether an error comes of the child's end, or of containerd's.
func (b *buildkit) lost(err error) bool {
	if b.engine.gone() {
		return true
	}
	if grpcerrors.Code(err) != codes.Unavailable {
		return !b.running()
	}
	select {
	case <-b.ended:
		return true
	case <-time.After(lostTime):
		return false
	}
}

// stop ends the child and waits for that.
func (b *buildkit) stop() {
	if b.client != nil {
		_ = b.client.Close()
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	_ = b.alive.Close()
	select {
	case <-b.ended:
	case <-time.After(stopTime):
		_ = b.cmd.Process.Kill()
		<-b.ended
	}
	_ = unmount(b.root) // what could not be taken off is tried again by the next
}

// engine tells one containerd from the next at the same socket.
type engine struct {
	socket string
	inode  uint64
	made   unix.Timespec
}

func engineAt(socket string) engine {
	var st unix.Stat_t
	if unix.Stat(socket, &st) != nil {
		return engine{socket: socket}
	}
	return engine{socket: socket, inode: st.Ino, made: st.Ctim}
}

// gone tells whether containerd has ended, or another is in its place. Steps that ran meanwhile are lost.
func (e engine) gone() bool {
	if engineAt(e.socket) != e {
		return true
	}
	c, err := net.DialTimeout("unix", e.socket, lostTime)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED) // by a socket that nobody listens at any more
	}
	_ = c.Close()
	return false
}

func (c Config) socket() string        { return filepath.Join(c.RunDir, "buildkit.sock") }
func (c Config) networkSocket() string { return filepath.Join(c.RunDir, "buildnet.sock") }
