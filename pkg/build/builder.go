//go:build linux

// Package build makes images of source code with BuildKit.
//
// BuildKit runs as a child of the daemon, started by the first build and stopped when there has been none for a while.
// It works in pandabox's own containerd, so that what it builds runs without being exported and imported, and its
// containers have a network and a control group of their own, so that builds cannot hurt what serves.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/moby/buildkit/client"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
)

// Builder builds. Its methods may be called from any goroutine.
type Builder struct {
	cfg      Config
	queue    *queue
	networks *networks
	life     context.Context // ends with Close
	end      context.CancelFunc
	retiring sync.WaitGroup

	mu     sync.Mutex // guards what follows
	child  *buildkit  // nil while BuildKit is stopped
	users  int        // builds that use the child
	idle   *time.Timer
	closed bool
}

// New prepares a Builder; BuildKit is not started. What an earlier daemon left of its builds is ended.
func New(ctx context.Context, c Config) (*Builder, error) {
	c = c.filled()
	if err := os.MkdirAll(filepath.Join(c.DataDir, "build"), 0o700); err != nil {
		return nil, fmt.Errorf("making the builder's directory: %w", err)
	}
	if err := c.Host.KillBuilds(ctx); err != nil {
		return nil, fmt.Errorf("ending the builds of an earlier daemon: %w", err)
	}
	if err := c.Host.DropImages(ctx, ImageName("")); err != nil {
		return nil, fmt.Errorf("removing what builds of an earlier daemon left: %w", err)
	}
	if err := unmount(filepath.Join(c.DataDir, "build")); err != nil {
		return nil, err
	}
	recipes, err := filepath.Glob(filepath.Join(c.DataDir, "build", "recipe-*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range recipes {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("removing what builds of an earlier daemon left: %w", err)
		}
	}
	n, err := serveNetworks(ctx, c.networkSocket(), c.Host)
	if err != nil {
		return nil, err
	}
	b := &Builder{cfg: c, queue: newQueue(1), networks: n}
	b.life, b.end = context.WithCancel(context.WithoutCancel(ctx))
	return b, nil
}

// Close ends the builds under way and BuildKit.
func (b *Builder) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	if b.idle != nil {
		b.idle.Stop()
	}
	child := b.child
	b.child = nil
	b.mu.Unlock()
	b.end()
	b.retiring.Wait()
	var err error
	if child != nil {
		child.stop()
		err = b.cfg.Host.KillBuilds(ctx)
	}
	b.networks.close()
	return err
}

// Running tells whether BuildKit runs.
func (b *Builder) Running() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.child != nil && b.child.running()
}

var errClosed = errors.New("the builder is closed")

// use returns BuildKit, starting it where it does not run, and what ends the use.
func (b *Builder) use(ctx context.Context) (*buildkit, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, errClosed
	}
	if b.idle != nil {
		b.idle.Stop()
		b.idle = nil
	}
	if b.child != nil && b.users == 0 && (!b.child.running() || b.child.engine.gone()) {
		b.child.stop()
		b.child = nil
	}
	if b.child == nil {
		site, err := b.cfg.Host.Site(ctx, b.cfg.Limits)
		if err != nil {
			return nil, nil, err
		}
		if b.child, err = startBuildkit(ctx, b.cfg, site); err != nil {
			return nil, nil, err
		}
	}
	b.users++
	child := b.child
	return child, sync.OnceFunc(func() { b.unuse(child) }), nil
}

// unuse ends a use; after the last, BuildKit is stopped when nobody wants it for a while.
func (b *Builder) unuse(child *buildkit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users--; b.users > 0 || b.child != child || b.closed {
		return
	}
	b.idle = time.AfterFunc(b.cfg.Idle, func() { b.retire(child) })
}

// retireTime bounds bringing the cache to its budget before BuildKit is stopped.
const retireTime = time.Minute

// retire stops BuildKit, unless somebody uses it again. BuildKit tidies up once a minute at most, and may not have done
// so since the last build.
func (b *Builder) retire(child *buildkit) {
	b.mu.Lock()
	if b.users > 0 || b.child != child || b.closed {
		b.mu.Unlock()
		return
	}
	b.users++
	b.retiring.Add(1)
	b.mu.Unlock()
	defer b.retiring.Done()
	ctx, cancel := context.WithTimeout(b.life, retireTime)
	defer cancel()
	if err := child.client.Prune(ctx, nil, client.PruneAll, client.WithKeepOpt(0, 0, b.cfg.CacheMax, b.cfg.FreeMin)); err != nil {
		b.cfg.Logger.Warn().Err(err).Msg("the build cache could not be brought to its budget")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users--; b.users == 0 && b.child == child && !b.closed {
		b.child = nil
		child.stop()
	}
}

// Prune removes the build cache and returns how many bytes that freed.
func (b *Builder) Prune(ctx context.Context) (int64, error) {
	child, done, err := b.use(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	removed := make(chan client.UsageInfo)
	counted := make(chan int64)
	go func() {
		var freed int64
		for u := range removed {
			if !u.Shared {
				freed += u.Size
			}
		}
		counted <- freed
	}()
	err = child.client.Prune(ctx, removed, client.PruneAll)
	close(removed)
	freed := <-counted
	if err != nil {
		return freed, fmt.Errorf("removing the build cache: %w", err)
	}
	return freed, nil
}

// CacheSize returns how many bytes the build cache holds on the disk, but for the layers of images that are kept anyway.
func (b *Builder) CacheSize(ctx context.Context) (int64, error) {
	child, done, err := b.use(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	all, err := child.client.DiskUsage(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking for the size of the build cache: %w", err)
	}
	var size int64
	for _, u := range all {
		if !u.Shared {
			size += u.Size
		}
	}
	return size, nil
}

// diskTick is how often the disk is looked at during a build: a fast one fills it at a gigabyte a second.
const diskTick = 100 * time.Millisecond

// watch ends a build when the disk has less than half of what builds leave free, as the rest belongs to the apps, and
// when containerd has ended under it.
func (b *Builder) watch(ctx context.Context, child *buildkit, end context.CancelCauseFunc) {
	tick := time.NewTicker(diskTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if child.engine.gone() {
			end(interrupted())
			return
		}
		if err := CheckSpace(b.cfg.DataDir, b.cfg.FreeMin); err != nil {
			end(model.Errorf(model.KindNoSpace, "the build filled the disk").WithWhy("%s", err).
				WithHint("make room, or remove the build cache: pandabox build prune"))
			return
		}
	}
}

// inodesFree is the share of a file system's inodes that builds leave free: one of so many.
const inodesFree = 20

// CheckSpace returns an error of KindNoSpace where the disk with a folder has less than half of the bytes that builds leave
// free, or hardly any inodes.
func CheckSpace(dir string, freeMin int64) error {
	if freeMin == 0 {
		freeMin = DefaultFreeMin
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return nil
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < freeMin/2 { //nolint:gosec // no disk has 2^63 bytes
		return model.Errorf(model.KindNoSpace, "%d MB are left", free>>20).WithHint("make room: pandabox build prune")
	}
	if fs.Files > 0 && fs.Ffree < fs.Files/inodesFree { // a file system without a number of them says 0
		return model.Errorf(model.KindNoSpace, "%d of %d inodes are left", fs.Ffree, fs.Files).WithHint("make room: pandabox build prune")
	}
	return nil
}

// interrupted is the error of a build that ended by no fault of its own.
func interrupted() *model.Error {
	return model.Errorf(model.KindUnavailable, "the builder ended in the middle of the build").WithHint("deploy again")
}

// terminated tells whether an exit code is that of a process that was killed.
func terminated(code uint32) bool { return code == 128+uint32(syscall.SIGKILL) }
