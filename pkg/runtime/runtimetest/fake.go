package runtimetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Fake is a runtime in memory. Containers do what the test app would: "/app exit 3" ends at once with code 3, "/app
// oom" runs out of memory, "/app" and "/app sleep" run until removed or told to end; a program that does not begin with
// "/" or is unknown to the image cannot be started. Its zero value is not usable; see NewFake.
type Fake struct {
	mu         sync.Mutex
	now        func() time.Time
	containers map[string]*fakeContainer
	images     map[string]model.Image // by digest
	remote     map[string]string      // reference → digest
	listeners  map[chan struct{}]struct{}
	startFails func(model.ContainerSpec) error
	forgotten  []string
	starts     []model.ContainerSpec
	removed    []string
	next       int
	down       error
}

type fakeContainer struct {
	model.Container
	spec  model.ContainerSpec
	ended chan struct{} // closed at its end or removal
}

// NewFake returns an empty fake. now may be nil.
func NewFake(now func() time.Time) *Fake {
	if now == nil {
		now = time.Now
	}
	return &Fake{
		now: now, containers: map[string]*fakeContainer{}, images: map[string]model.Image{}, remote: map[string]string{},
		listeners: map[chan struct{}]struct{}{},
	}
}

// AddImage puts an image on the fake's box. Without a digest it gets one of its own, from the reference.
func (f *Fake) AddImage(img model.Image) model.Image {
	f.mu.Lock()
	defer f.mu.Unlock()
	img = complete(img)
	f.images[img.Digest] = img
	return img
}

// AddRemote makes an image that Ensure can pull by its reference.
func (f *Fake) AddRemote(img model.Image) model.Image {
	img = f.AddImage(img)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remote[img.Ref] = img.Digest
	return img
}

func complete(img model.Image) model.Image {
	if img.Digest == "" {
		img.Digest = digestOf([]byte(img.Ref))
	}
	if img.Config == nil {
		img.Config = &model.ImageConfig{Entrypoint: []string{"/app"}}
	}
	return img
}

// FailStart makes Start return what fn returns for a container, when that is an error. nil ends it.
func (f *Fake) FailStart(fn func(model.ContainerSpec) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.startFails = fn
}

// FailAll makes every method return err: containerd is down. nil ends it, and signals.
func (f *Fake) FailAll(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = err
	f.signal()
}

// End makes a running container end. It tells whether there was one.
func (f *Fake) End(name string, exit model.Exit) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end(name, exit)
}

// Crash is End with a code.
func (f *Fake) Crash(name string, code int) bool {
	return f.End(name, model.Exit{Code: code, Known: true})
}

// OOM is End for want of memory.
func (f *Fake) OOM(name string) bool {
	return f.End(name, model.Exit{Code: 137, Known: true, OOM: true})
}

// Lose makes a container end while nobody watched.
func (f *Fake) Lose(name string) bool { return f.End(name, model.Exit{}) }

// Reboot ends every container at once, unwatched.
func (f *Fake) Reboot() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.containers {
		f.end(name, model.Exit{})
	}
}

// Starts returns the specs of every container started so far, in order.
func (f *Fake) Starts() []model.ContainerSpec {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starts)
}

// Removed returns the names of every container removed so far, in order.
func (f *Fake) Removed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.removed)
}

// Forgotten returns the workloads Forget was called for.
func (f *Fake) Forgotten() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.forgotten)
}

// Spec returns what a container that is there was started from.
func (f *Fake) Spec(name string) (model.ContainerSpec, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.containers[name]
	if !ok {
		return model.ContainerSpec{}, false
	}
	return c.spec, true
}

// List returns every container, sorted by name.
func (f *Fake) List(context.Context) ([]model.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	out := make([]model.Container, 0, len(f.containers))
	for _, c := range f.containers {
		out = append(out, c.Container)
	}
	slices.SortFunc(out, func(a, b model.Container) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Start runs a container; see Fake.
func (f *Fake) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	if err := ctx.Err(); err != nil {
		return model.Container{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return model.Container{}, f.down
	}
	if c, ok := f.containers[spec.Name]; ok && c.State == model.ContainerRunning {
		return c.Container, nil
	}
	delete(f.containers, spec.Name)
	img, ok := f.images[spec.Image]
	if !ok {
		return model.Container{}, model.NotFound("image %s is not on this box", spec.Image).WithHint("deploy it again")
	}
	args := spec.Command
	if args == nil {
		args = append(slices.Clone(img.Config.Entrypoint), img.Config.Cmd...)
	}
	if len(args) == 0 {
		return model.Container{}, model.Invalid("the image has no command to run").WithHint("give one in pandabox.toml")
	}
	if f.startFails != nil {
		if err := f.startFails(spec); err != nil {
			return model.Container{}, err
		}
	}
	if args[0] != "/app" && !slices.Contains(img.Config.Entrypoint, args[0]) {
		return model.Container{}, model.Invalid("%s cannot be started", spec.Replica.Process).
			WithWhy("%s: there is no such program in the image", args[0]).WithHint("check the command")
	}
	f.next++
	at := f.now()
	c := &fakeContainer{spec: spec, ended: make(chan struct{}), Container: model.Container{
		Name: spec.Name, Replica: spec.Replica, State: model.ContainerRunning, Pid: 1000 + f.next,
		Addr:      netip.AddrFrom4([4]byte{10, 255, byte(f.next >> 8), byte(f.next)}),
		CreatedAt: at, StartedAt: at,
	}}
	f.containers[spec.Name] = c
	f.starts = append(f.starts, spec)
	running := c.Container
	if len(args) > 1 {
		switch args[1] {
		case "exit":
			code, _ := strconv.Atoi(args[len(args)-1])
			f.end(spec.Name, model.Exit{Code: code, Known: true})
		case "oom":
			f.end(spec.Name, model.Exit{Code: 137, Known: true, OOM: true})
		}
	}
	return running, nil
}

// Remove removes a container, running or not.
func (f *Fake) Remove(ctx context.Context, name string, _ time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return f.down
	}
	c, ok := f.containers[name]
	if !ok {
		return nil
	}
	if c.State == model.ContainerRunning {
		close(c.ended)
		f.signal()
	}
	delete(f.containers, name)
	f.removed = append(f.removed, name)
	return nil
}

// Wait returns how a container ended, once it has.
func (f *Fake) Wait(ctx context.Context, name string) (model.Exit, error) {
	for {
		f.mu.Lock()
		c, ok := f.containers[name]
		down := f.down
		f.mu.Unlock()
		switch {
		case down != nil:
			return model.Exit{}, down
		case !ok:
			return model.Exit{}, model.NotFound("there is no container %s", name)
		case c.State == model.ContainerExited:
			return c.Exit, nil
		}
		select {
		case <-c.ended:
		case <-ctx.Done():
			return model.Exit{}, model.Errorf(kindOf(ctx.Err()), "stopped waiting for %s", name).Wrap(ctx.Err())
		}
	}
}

// Events tells "look again".
func (f *Fake) Events(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	f.mu.Lock()
	f.listeners[ch] = struct{}{}
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, ch)
		close(ch)
	})
	return ch
}

// end must be called with the lock held.
func (f *Fake) end(name string, exit model.Exit) bool {
	c, ok := f.containers[name]
	if !ok || c.State != model.ContainerRunning {
		return false
	}
	if exit.At.IsZero() {
		exit.At = f.now()
	}
	// A new value: Wait may be reading the old one.
	dead := *c
	dead.State, dead.Exit, dead.Addr, dead.Pid = model.ContainerExited, exit, netip.Addr{}, 0
	f.containers[name] = &dead
	close(c.ended)
	f.signal()
	return true
}

// signal must be called with the lock held.
func (f *Fake) signal() {
	for ch := range f.listeners {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func kindOf(err error) model.Kind {
	if errors.Is(err, context.DeadlineExceeded) {
		return model.KindTimeout
	}
	return model.KindCanceled
}

// String helps in test failures.
func (f *Fake) String() string {
	all, _ := f.List(context.Background())
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "%s %s\n", c.Name, c.State)
	}
	return b.String()
}
