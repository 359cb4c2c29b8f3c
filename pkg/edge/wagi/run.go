//go:build linux

package wagi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/bundle/wasm"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

// Scheduled is the variable that a command finds in place of a request when a job is due.
const Scheduled = "PANDABOX_SCHEDULED"

// run is one run of a command.
type run struct {
	bindings.State
	p        *program
	call     *guest.Call
	vm       *vm.Instance
	out, err bindings.Lines
	answer   *answer // nil for a job, whose output is log
}

// Serve runs the command for a request.
func (s *isolate) Serve(ctx context.Context, c *guest.Call) (func(context.Context) error, error) {
	r := s.p.run(c)
	r.answer = &answer{w: c.Writer, r: c.Request}
	r.BeforeWait = r.answer.flush
	env := variables(c.Request, s.p.env)
	err := r.do(ctx, nil, []string{c.Request.URL.Path}, env)
	if code, left := vm.ExitCode(err); left {
		if err = nil; code != 0 {
			err = fmt.Errorf("the command left with exit code %d", code)
		}
	}
	if err == nil {
		return nil, r.answer.close()
	}
	if r.answer.sent {
		return nil, err
	}
	return nil, fmt.Errorf("before it had answered: %w", err)
}

// Scheduled runs the command for a job. What it prints is log.
func (s *isolate) Scheduled(ctx context.Context, c *guest.Call, e model.ScheduledEvent) error {
	event, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing the event of a job: %w", err)
	}
	env := maps.Clone(s.p.env)
	if env == nil {
		env = map[string]string{}
	}
	env[Scheduled] = string(event)
	err = s.p.run(c).do(ctx, &e, []string{"scheduled"}, env)
	if code, left := vm.ExitCode(err); left {
		if code != 0 {
			return fmt.Errorf("the command left with exit code %d", code)
		}
		return nil
	}
	return err
}

func (r *run) do(ctx context.Context, job *model.ScheduledEvent, args []string, env map[string]string) error {
	if err := r.start(ctx, args, env); err != nil {
		return err
	}
	r.State.Begin(r.call.World, job)
	r.out.Begin(r.call.World)
	r.err.Begin(r.call.World)
	r.vm.Begin(ctx, r.call.CPU, r.call.Deadline)
	_, err := r.vm.Call(wasm.Start)
	r.vm.End()
	r.State.End()
	r.out.End()
	r.err.End()
	return errors.Join(err, r.vm.Close(context.WithoutCancel(ctx)))
}

func (r *run) start(ctx context.Context, args []string, env map[string]string) error {
	o := vm.Options{MemoryMax: r.p.memory, State: r, Args: args, Env: env, Stdout: &r.out, Stderr: &r.err}
	if r.answer != nil {
		o.Stdin, o.Stdout = body{r}, output{r}
	}
	var err error
	r.vm, err = r.p.module.Instantiate(ctx, o)
	return err
}

// body is the request's body as standard input. The guest's clock of CPU time stands still while it waits.
type body struct{ run *run }

// Read reads a piece of the body.
func (b body) Read(to []byte) (int, error) {
	r := b.run
	if r.call.Request.Body == nil {
		return 0, io.EOF
	}
	r.answer.flush()
	r.vm.Pause()
	n, err := r.call.Request.Body.Read(to)
	r.vm.Resume()
	if err != nil && !errors.Is(err, io.EOF) {
		r.fail(fmt.Errorf("reading the request's body: %w", err))
	}
	r.answer.ended = err != nil
	return n, err
}

// output is standard output.
type output struct{ run *run }

// Write sends a piece of the answer. A guest whose answer cannot be sent is ended: most would go on printing.
func (o output) Write(p []byte) (int, error) {
	r := o.run
	r.vm.Pause()
	err := r.answer.write(p, time.Now())
	r.vm.Resume()
	if err != nil {
		r.fail(err)
	}
	return len(p), nil
}

func (r *run) fail(err error) {
	if errors.Is(r.vm.Context().Err(), context.DeadlineExceeded) {
		err = guest.ErrTimeout
	}
	r.vm.Fail(err)
}
