package runtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"

	"github.com/pandabox/pandabox/pkg/model"
)

// Exec runs a command in a running container and returns its exit code. When ctx ends, the command is killed.
func (r *Runtime) Exec(ctx context.Context, name string, x model.ExecSpec) (int, error) {
	ctx, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	if len(x.Command) == 0 || x.Command[0] == "" {
		return 0, model.Invalid("there is no command to run").WithHint("name one: pandabox exec -- ls /")
	}
	task, spec, err := r.runningTask(ctx, name)
	if err != nil {
		return 0, err
	}
	spec.Process.Args = x.Command
	spec.Process.Terminal = x.TTY
	if err := oci.ApplyOpts(ctx, r.client, nil, spec, oci.WithEnv(x.Env)); err != nil {
		return 0, fmt.Errorf("preparing the command: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, execFailure(err, name, x.Command[0])
	}
	pump := newPump(x)
	start, cancel := outlasting(ctx)
	defer cancel()
	p, err := task.Exec(start, "exec-"+rand.Text(), spec.Process, cio.NewCreator(pump.options(r.cfg.fifoDir())...))
	if err != nil {
		return 0, failure(err, "cannot run a command in %s", name)
	}
	code, err := pump.run(ctx, start, p)
	return code, execFailure(err, name, x.Command[0])
}

// outlasting returns a context that ends cleanupTime after ctx: a process that is called off while it starts would run on
// with nobody who knows of it, so it is let start, and is ended then.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(cleanupTime, cancel) })
	return out, func() { stop(); cancel() }
}

// runningTask returns a container's task and what it was made from.
func (r *Runtime) runningTask(ctx context.Context, name string) (containerd.Task, *oci.Spec, error) {
	c, err := r.client.LoadContainer(ctx, idOf(name))
	if errdefs.IsNotFound(err) {
		return nil, nil, model.NotFound("there is no container %s", name)
	}
	if err != nil {
		return nil, nil, failure(err, "cannot look up container %s", name)
	}
	notRunning := model.Conflict("container %s does not run", name).WithHint("see `pandabox ps`; `pandabox run` starts a container of its own")
	task, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil, nil, notRunning
	}
	if err != nil {
		return nil, nil, failure(err, "cannot look up container %s", name)
	}
	status, err := task.Status(ctx)
	if err != nil {
		return nil, nil, failure(err, "cannot look up container %s", name)
	}
	if status.Status != containerd.Running {
		return nil, nil, notRunning
	}
	spec, err := c.Spec(ctx)
	if err != nil {
		return nil, nil, failure(err, "cannot look up container %s", name)
	}
	return task, spec, nil
}

// pump carries a process's input and output.
type pump struct {
	x     model.ExecSpec
	stdin *endingReader
}

func newPump(x model.ExecSpec) *pump {
	p := &pump{x: x}
	if x.Stdin != nil {
		p.stdin = &endingReader{r: x.Stdin, ended: make(chan struct{})}
	}
	return p
}

func (p *pump) options(fifoDir string) []cio.Opt {
	var stdin io.Reader
	if p.stdin != nil {
		stdin = p.stdin
	}
	out, errs := p.x.Stdout, p.x.Stderr
	if out == nil {
		out = io.Discard
	}
	if errs == nil {
		errs = io.Discard
	}
	opts := []cio.Opt{cio.WithFIFODir(fifoDir), cio.WithStreams(stdin, out, errs)}
	if p.x.TTY {
		opts = append(opts, cio.WithStreams(stdin, out, nil), cio.WithTerminal)
	}
	return opts
}

// run starts the process, within start, waits for its end and removes it. When ctx ends first, the process is killed.
func (p *pump) run(ctx, start context.Context, proc containerd.Process) (int, error) {
	defer func() {
		end, cancel := cleanup(ctx)
		defer cancel()
		_, _ = proc.Delete(end, containerd.WithProcessKill)
	}()
	exited, err := proc.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return 0, err
	}
	if err := proc.Start(start); err != nil {
		return 0, err
	}
	return p.follow(ctx, proc, exited)
}

// What containerd's end broke is begun again, for as long as a restart of it takes.
const (
	persistPause = 50 * time.Millisecond
	persistTries = 100
)

// persist calls fn until it gets an answer.
func persist(ctx context.Context, fn func() error) error {
	for tries := 1; ; tries++ {
		err := fn()
		if !isUnavailable(err) || tries == persistTries || pauseFor(ctx, persistPause) != nil {
			return err
		}
	}
}

// follow waits for the process's end while it carries sizes and the end of the input.
func (p *pump) follow(ctx context.Context, proc containerd.Process, exited <-chan containerd.ExitStatus) (int, error) {
	var inputEnded <-chan struct{}
	if p.stdin != nil {
		inputEnded = p.stdin.ended
	}
	resize := p.x.Resize
	for {
		select {
		case size, ok := <-resize:
			if !ok {
				resize = nil
				continue
			}
			err := persist(ctx, func() error { return proc.Resize(ctx, uint32(size.Cols), uint32(size.Rows)) })
			if err != nil && !errdefs.IsNotFound(err) {
				return 0, err
			}
		case <-inputEnded:
			inputEnded = nil
			// Without this the shim keeps the write side open and the process never sees the end.
			err := persist(ctx, func() error { return proc.CloseIO(ctx, containerd.WithStdinCloser) })
			if err != nil && !errdefs.IsNotFound(err) {
				return 0, err
			}
		case status := <-exited:
			code, _, err := status.Result()
			if isUnavailable(err) && pauseFor(ctx, persistPause) == nil {
				// Only containerd went away: the process, and its input and output, are the shim's.
				if exited, err = proc.Wait(context.WithoutCancel(ctx)); err == nil {
					continue
				}
			}
			if err != nil {
				return 0, err
			}
			waitOutput(ctx, proc)
			return int(code), nil
		case <-ctx.Done():
			end, cancel := cleanup(ctx)
			defer cancel()
			_ = proc.Kill(end, syscall.SIGKILL)
			return 0, ctx.Err()
		}
	}
}

// waitOutput returns when all output has been carried, or ctx ends: a child of the process may hold the pipe open.
func waitOutput(ctx context.Context, proc containerd.Process) {
	done := make(chan struct{})
	go func() { defer close(done); proc.IO().Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
		proc.IO().Cancel()
		<-done
	}
}

// endingReader tells when its end is reached.
type endingReader struct {
	r     io.Reader
	ended chan struct{}
	over  bool
}

func (e *endingReader) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	if err != nil && !e.over {
		e.over = true
		close(e.ended)
	}
	return n, err
}

func execFailure(err error, name, program string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failure(err, "%s was ended", cmp.Or(program, "the command"))
	case containsAny(err.Error(), "executable file not found in $PATH", "no such file or directory"):
		return model.Invalid("there is no %s in %s", program, name).WithHint("an image without a shell has no sh, ls or cat either").Wrap(err)
	case containsAny(err.Error(), "permission denied"):
		return model.Invalid("%s in %s may not be run", program, name).WithHint("make it executable in the image: chmod +x").Wrap(err)
	}
	return failure(err, "cannot run %s in %s", program, name)
}

var _ io.Reader = (*endingReader)(nil)
