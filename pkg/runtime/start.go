package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"time"

	runcopts "github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs"
	"github.com/pandabox/pandabox/pkg/runtime/network"
)

// Start runs a container. It is idempotent by name: a running container of that name is returned as it is, a half-made
// or ended one is replaced. When it fails, nothing of the container stays.
func (r *Runtime) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	done, err := r.locks.take(ctx, spec.Name)
	if err != nil {
		return model.Container{}, failure(err, "cannot start %s", spec.Name)
	}
	defer done()
	c, err := again(ctx, r, func(ctx context.Context) (model.Container, error) { return r.start(ctx, spec) })
	return c, failure(err, "cannot start %s", spec.Name)
}

func (r *Runtime) start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	have, err := r.one(ctx, spec.Name)
	if err == nil && have.State == model.ContainerRunning && have.Addr.IsValid() {
		return have.Container, nil
	}
	if model.KindOf(err) != model.KindNotFound {
		if err := r.clear(ctx, spec.Name, 0); err != nil {
			return model.Container{}, err
		}
	}
	uri, err := r.logURI(spec)
	if err != nil {
		return model.Container{}, err
	}
	c, err := r.launch(ctx, spec, launch{io: cio.LogURI(uri)})
	if errdefs.IsAlreadyExists(err) { // a snapshot or task without a record, left by a crash; launch has removed it
		c, err = r.launch(ctx, spec, launch{io: cio.LogURI(uri)})
	}
	return c, err
}

func (r *Runtime) logURI(spec model.ContainerSpec) (*url.URL, error) {
	dir := r.cfg.logDir(spec.Replica.WorkloadID)
	if err := makeDirs(dir); err != nil {
		return nil, err
	}
	limit := spec.LogMax
	if limit == 0 {
		limit = r.cfg.LogMax
	}
	return url.Parse(logs.URI(r.parts.Log, logs.WriterConfig{
		Dir: dir, Container: spec.Name, Process: spec.Replica.Process,
		Release: spec.Replica.Release, Index: spec.Replica.Index, MaxBytes: limit,
	}))
}

// launch says how a container is joined to whoever started it.
type launch struct {
	io     cio.Creator
	tty    bool
	before func(containerd.Task) error // called before the command starts; nil: nothing to do
}

// launch makes a container and starts it, or leaves nothing behind.
func (r *Runtime) launch(ctx context.Context, spec model.ContainerSpec, how launch) (_ model.Container, err error) {
	img, err := r.image(ctx, spec.Image)
	if err != nil {
		return model.Container{}, err
	}
	defer func() {
		if err != nil {
			end, cancel := cleanup(ctx)
			defer cancel()
			if cerr := r.clear(end, spec.Name, 0); cerr != nil {
				err = errors.Join(err, cerr)
			}
		}
	}()
	c, etc, err := r.create(ctx, spec, img, how.tty)
	if err != nil {
		return model.Container{}, err
	}
	task, err := whole(ctx, func(ctx context.Context) (containerd.Task, error) { return c.NewTask(ctx, how.io) })
	if err != nil {
		return model.Container{}, startFailure(spec, err)
	}
	addr, err := r.attach(ctx, spec, int(task.Pid()), etc)
	if err != nil {
		return model.Container{}, err
	}
	if how.before != nil {
		if err := how.before(task); err != nil {
			return model.Container{}, err
		}
	}
	if err := task.Start(ctx); err != nil {
		return model.Container{}, startFailure(spec, err)
	}
	at := time.Now()
	return model.Container{
		Name: spec.Name, Replica: spec.Replica, State: model.ContainerRunning, Addr: addr, Pid: int(task.Pid()),
		CreatedAt: at, StartedAt: at,
	}, nil
}

// wholeTime bounds the making of one container or task, which takes 0.1 s on a quiet box.
const wholeTime = time.Minute

// whole does what must not be called off half way, to the end even where ctx ends first: containerd would finish or undo
// its half at its leisure, when the container is long taken for removed.
func whole[T any](ctx context.Context, do func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	inner, cancel := context.WithTimeout(context.WithoutCancel(ctx), wholeTime)
	defer cancel()
	out, err := do(inner)
	if err == nil {
		err = ctx.Err()
	}
	return out, err
}

// create makes the container's record, file system and files.
func (r *Runtime) create(ctx context.Context, spec model.ContainerSpec, img *image, tty bool) (containerd.Container, string, error) {
	args, err := commandOf(spec, img)
	if err != nil {
		return nil, "", err
	}
	if _, err := r.net.EnsureEnvironment(ctx, spec.Replica.EnvID); err != nil {
		return nil, "", fmt.Errorf("preparing the network: %w", err)
	}
	if err := r.makeVolumes(spec, img.user); err != nil {
		return nil, "", err
	}
	etc, err := r.makeEtc(spec)
	if err != nil {
		return nil, "", err
	}
	s, err := r.specFor(ctx, spec, img, args, etc)
	if err != nil {
		return nil, "", fmt.Errorf("describing the container: %w", err)
	}
	s.Process.Terminal = tty
	labels, err := containerLabels(spec)
	if err != nil {
		return nil, "", err
	}
	labels[containerd.StopSignalLabel] = img.config.StopSignal
	c, err := whole(ctx, func(ctx context.Context) (containerd.Container, error) {
		// The library would make a lease that nobody knows again when containerd is killed before it is ended.
		ctx, done, err := r.client.WithLease(ctx, leases.WithRandomID(), leases.WithExpiration(leaseLife), leases.WithLabel(labelLease, leaseOfStart))
		if err != nil {
			return nil, err
		}
		defer func() { _ = done(ctx) }() // Reclaim ends it otherwise
		return r.client.NewContainer(ctx, idOf(spec.Name),
			containerd.WithSpec(s),
			containerd.WithContainerLabels(labels),
			containerd.WithRuntime(r.parts.Shim, &runcopts.Options{BinaryName: r.parts.Runc, Root: r.cfg.runcRoot()}),
			r.withSnapshot(spec, img))
	})
	if err != nil {
		return nil, "", fmt.Errorf("making the container: %w", err)
	}
	return c, etc, nil
}

// withSnapshot prepares the container's own layer. The label keeps it from being collected until it is removed.
func (r *Runtime) withSnapshot(spec model.ContainerSpec, img *image) containerd.NewContainerOpts {
	return func(ctx context.Context, client *containerd.Client, c *containers.Container) error {
		opts := []snapshots.Opt{snapshots.WithLabels(map[string]string{
			labelContainer: spec.Name,
			labelGCRoot:    time.Now().UTC().Format(time.RFC3339),
		})}
		if r.userns {
			ids := userRange(spec.Replica.WorkloadID)
			opts = append(opts, containerd.WithUserNSRemapperLabels(ids, ids))
		}
		_, err := client.SnapshotService(snapshotter).Prepare(ctx, idOf(spec.Name), img.chain, opts...)
		switch {
		case errdefs.IsNotFound(err):
			r.images.Delete(img.digest)
			return model.NotFound("image %s is not on this box any more", short(img.digest)).WithHint("deploy it again").Wrap(err)
		case err != nil:
			return fmt.Errorf("preparing the file system: %w", err)
		}
		c.Snapshotter, c.SnapshotKey, c.Image = snapshotter, idOf(spec.Name), img.digest
		return nil
	}
}

func (r *Runtime) attach(ctx context.Context, spec model.ContainerSpec, pid int, etc string) (netip.Addr, error) {
	addr, err := r.net.Attach(ctx, network.AttachRequest{EnvID: spec.Replica.EnvID, Container: spec.Name, Pid: pid, Aliases: spec.Aliases})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("joining the network: %w", err)
	}
	return addr, fillHosts(etc, addr, hostname(spec.Replica))
}

// starting tells whether an operation on the container is under way.
func (r *Runtime) starting(name string) bool {
	r.locks.mu.Lock()
	defer r.locks.mu.Unlock()
	_, ok := r.locks.held[name]
	return ok
}

// startFailure says what a person can do about a command that cannot run.
func startFailure(spec model.ContainerSpec, err error) error {
	text := err.Error()
	program := "the image's command"
	if len(spec.Command) > 0 {
		program = spec.Command[0]
	}
	what := model.Invalid("%s cannot be started", cmp.Or(spec.Replica.Process, spec.Name)).Wrap(err)
	switch {
	case isNoSpace(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errdefs.IsUnavailable(err), errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case containsAny(text, "executable file not found in $PATH", "no such file or directory") && containsAny(text, "exec:", "exec "):
		return what.WithWhy("%s: there is no such program in the image", program).
			WithHint("check the command; a script also needs its interpreter, and a program its libraries, in the image")
	case containsAny(text, "permission denied") && containsAny(text, "exec:", "exec "):
		return what.WithWhy("%s: permission denied", program).WithHint("make it executable in the image: chmod +x")
	case containsAny(text, "exec format error"):
		return what.WithWhy("%s: not a program for this box", program).WithHint("a script needs a first line such as #!/bin/sh; a program must be built for this box's architecture")
	case containsAny(text, "is a directory"):
		return what.WithWhy("%s is a directory", program).WithHint("name a program in it")
	case containsAny(text, "cannot allocate memory", "unable to set memory limit", "container init was OOM-killed"):
		return what.WithWhy("its memory limit is too low").WithHint("give it more: pandabox scale %s memory=…", cmp.Or(spec.Replica.Process, "web"))
	}
	return fmt.Errorf("starting the container: %w", err)
}
