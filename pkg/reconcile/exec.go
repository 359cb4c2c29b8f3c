package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// running is an operation under way.
type running struct {
	op        op
	cancel    context.CancelFunc
	calledOff bool         // read and written by the controller's goroutine only
	stage     atomic.Int32 // of opRetire: it can be called off until it stops the container
}

const (
	stageDraining int32 = iota
	stageStopping
	stageCalledOff
)

// result is what an operation came to.
type result struct {
	err       error
	image     model.Image     // opPull
	built     model.Built     // opBuild
	container model.Container // opStart, opRelease
	line      string          // opLine
}

// callOff ends an operation that is not wanted any more. One that has begun to stop a container goes on.
func (r *running) callOff() {
	if r.op.kind == opRetire && !r.stage.CompareAndSwap(stageDraining, stageCalledOff) {
		return
	}
	r.calledOff = true
	r.cancel()
}

// execute carries out one operation. dw is the workload as it was when the operation was decided.
func (c *Controller) execute(ctx context.Context, r *running, dw *model.DesiredWorkload, progress func(int, string)) result {
	switch o := r.op; o.kind {
	case opPull:
		return c.pull(ctx, o, progress)
	case opBuild:
		return c.build(ctx, o, progress)
	case opStart:
		return c.start(ctx, o, dw)
	case opRelease:
		return c.release(ctx, o, dw)
	case opRetire:
		return result{err: c.retire(ctx, r)}
	case opLine:
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return result{line: c.cfg.LastLogLine(ctx, o.name)}
	case opForget:
		if err := c.cfg.Images.Forget(ctx, o.name); err != nil {
			return result{err: fmt.Errorf("deleting the volumes and logs of %s: %w", o.name, err)}
		}
		return result{}
	}
	return result{err: fmt.Errorf("unknown operation %q", r.op.kind)}
}

func (c *Controller) pull(ctx context.Context, o op, progress func(int, string)) result {
	slots := c.pulls
	if o.release.Image.Digest != "" {
		slots = c.checks // most likely it is here: not to wait behind a slow registry
	}
	if err := slots.take(ctx); err != nil {
		return result{err: err}
	}
	defer slots.give()
	ctx, cancel := context.WithTimeout(ctx, c.lim.Pull)
	defer cancel()
	image, err := c.cfg.Images.Ensure(ctx, o.release.Image, progress)
	if err == nil && image.Digest == "" {
		err = errors.New("the image has no digest")
	}
	if err != nil {
		return result{err: fmt.Errorf("fetching %s: %w", imageName(o.release), err)}
	}
	return result{image: image}
}

// build takes as long as it takes: the builder has a queue, and a deadline for each build.
func (c *Controller) build(ctx context.Context, o op, progress func(int, string)) result {
	if c.cfg.Builder == nil {
		return result{err: model.Errorf(model.KindInvalid, "this box does not build").WithHint("deploy an image")}
	}
	built, err := c.cfg.Builder.Build(ctx, o.release.ID, progress)
	if err == nil && built.Image.Digest == "" && (built.Static == nil || built.Static.Digest == "") {
		err = errors.New("what was built has no digest")
	}
	if err != nil {
		return result{err: fmt.Errorf("building v%d: %w", o.release.Number, err)}
	}
	return result{built: built}
}

func (c *Controller) start(ctx context.Context, o op, dw *model.DesiredWorkload) result {
	if err := c.starts.take(ctx); err != nil {
		return result{err: err}
	}
	defer c.starts.give()
	ctx, cancel := context.WithTimeout(ctx, c.lim.Start)
	defer cancel()
	spec, err := c.spec(ctx, dw, o)
	if err != nil {
		return result{err: err}
	}
	container, err := c.cfg.Runtime.Start(ctx, spec)
	if err != nil {
		return result{err: fmt.Errorf("starting %s: %w", o.name, err)}
	}
	return result{container: container}
}

func (c *Controller) release(ctx context.Context, o op, dw *model.DesiredWorkload) result {
	container := model.Container{Name: o.name, Replica: o.replica, CreatedAt: c.clock.Now()}
	if !o.adopt {
		r := c.start(ctx, o, dw)
		if r.err != nil {
			return r
		}
		container = r.container
	}
	exit, err := c.cfg.Runtime.Wait(ctx, o.name)
	if err != nil {
		return result{err: fmt.Errorf("waiting for %s: %w", o.name, err)}
	}
	container.State, container.Exit, container.Pid = model.ContainerExited, exit, 0
	return result{container: container}
}

// retire lets a container finish its requests, then stops and removes it.
func (c *Controller) retire(ctx context.Context, r *running) error {
	if r.op.drain {
		drain, cancel := context.WithTimeout(ctx, c.lim.Drain)
		err := c.cfg.Router.Drain(drain, []string{r.op.name})
		cancel()
		if err != nil && ctx.Err() == nil {
			c.log.Warn().Err(err).Str("container", r.op.name).Msg("requests were cut off")
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !r.stage.CompareAndSwap(stageDraining, stageStopping) {
		return context.Canceled
	}
	ctx, cancel := context.WithTimeout(ctx, r.op.grace+c.lim.Remove)
	defer cancel()
	if err := c.cfg.Runtime.Remove(ctx, r.op.name, r.op.grace); err != nil {
		return fmt.Errorf("removing %s: %w", r.op.name, err)
	}
	return nil
}

// slots bound how many operations of a sort are under way at once. Those that wait are served in order.
type places chan struct{}

func (p places) take(ctx context.Context) error {
	select {
	case p <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p places) give() { <-p }
