//go:build linux

package httpwasm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/bundle/wasm"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

// isolate is one instance of a module and the call it works on.
type isolate struct {
	bindings.State
	p        *program
	vm       *vm.Instance
	request  *vm.Func // handle_request
	response *vm.Func // handle_response
	base     uint32   // features enabled while it started
	out, err bindings.Lines
	words    names
	list     []string // scratch, of names
	x        exchange
}

var (
	_ guest.Isolate  = (*isolate)(nil)
	_ bindings.Guest = (*isolate)(nil)
)

// renew gives the isolate an instance in the state of the snapshot, or one that starts anew.
func (s *isolate) renew(ctx context.Context) error {
	if s.p.snapshot == nil {
		return s.start(ctx)
	}
	return s.instantiate(ctx)
}

func (s *isolate) instantiate(ctx context.Context) error {
	i, err := s.p.module.Instantiate(ctx, vm.Options{
		MemoryMax: s.p.limits.Memory, Snapshot: s.p.snapshot, State: s, Env: s.p.env, Stdout: &s.out, Stderr: &s.err,
	})
	if err != nil {
		return err
	}
	s.vm, s.request, s.response = i, i.Func(wasm.HandleRequest), i.Func(wasm.HandleResponse)
	return nil
}

// start makes an instance and lets the guest initialise itself: a reactor by _initialize, a command by _start.
func (s *isolate) start(ctx context.Context) error {
	if err := s.instantiate(ctx); err != nil {
		return err
	}
	s.base = 0
	for _, name := range []string{wasm.Initialize, wasm.Start} {
		f := s.vm.Func(name)
		if f == nil {
			continue
		}
		if err := s.run(ctx, f); err != nil {
			return errors.Join(s.explain(name, err), s.Close(context.WithoutCancel(ctx)))
		}
		break
	}
	s.base = s.x.features
	s.x = exchange{}
	return nil
}

func (s *isolate) run(ctx context.Context, f *vm.Func) error {
	deadline := time.Now().Add(startTimeout(s.p.limits))
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	s.vm.Begin(ctx, time.Duration(s.p.limits.CPU), deadline)
	defer s.vm.End()
	return f.Call(nil)
}

// explain says why a module did not start.
func (s *isolate) explain(name string, err error) error {
	why := err.Error()
	if printed := s.err.Text(); printed != "" {
		why = printed
	}
	e := model.Invalid("the function does not start").WithWhy("%s: %s", name, why).Wrap(err)
	code, left := vm.ExitCode(err)
	switch {
	case left && name == wasm.Start:
		return e.WithWhy("_start left with exit code %d; a handler has to stay", code).
			WithHint("build a reactor: Go with -buildmode=c-shared, clang with -mexec-model=reactor; or set runtime = \"wagi\"")
	case errors.Is(err, guest.ErrMemory):
		return e.WithHint("raise limits.memory under [function] in pandabox.toml")
	case errors.Is(err, guest.ErrCPU), errors.Is(err, guest.ErrTimeout):
		return e.WithHint("do less before the first request, or raise limits.cpu under [function] in pandabox.toml")
	}
	return e.WithHint("correct what it does before the first request; try it with `pandabox fn dev`")
}

// Serve answers a request.
func (s *isolate) Serve(ctx context.Context, c *guest.Call) (func(context.Context) error, error) {
	s.begin(ctx, c, nil)
	defer s.end()
	s.x.begin(c, s.base, s.p.limits.Memory)
	err := s.exchange(c)
	s.x.close()
	return nil, err
}

// exchange calls the guest, what comes behind it, and the guest again.
func (s *isolate) exchange(c *guest.Call) error {
	stack := s.x.stack[:1]
	if err := s.request.Call(stack); err != nil {
		return s.trapped(wasm.HandleRequest, err)
	}
	result := stack[0]
	if uint32(result) != 1 {
		return s.finish()
	}
	next := c.Next
	if next == nil {
		next = http.HandlerFunc(s.nothingBehind)
	}
	s.vm.Pause()
	s.x.serve(next)
	s.vm.Resume()
	stack = s.x.stack[:2]
	stack[0], stack[1] = result>>32, 0
	if err := s.response.Call(stack); err != nil {
		return s.trapped(wasm.HandleResponse, err)
	}
	return s.finish()
}

func (s *isolate) finish() error {
	if s.x.sent && s.x.held == nil {
		return nil
	}
	s.vm.Pause()
	err := s.x.finish()
	s.vm.Resume()
	return err
}

// flush sends what was written before the guest waits for something else.
func (s *isolate) flush() {
	if s.x.dirty {
		s.x.flush(time.Now())
	}
}

// nothingBehind is what a function that is no middleware passes requests on to.
func (s *isolate) nothingBehind(w http.ResponseWriter, r *http.Request) {
	s.x.call.World.Log("stderr", "handle_request passed the request on and nothing is behind this function: "+
		"answered 404; set middleware = true under [function] for a function in front of an app")
	http.NotFound(w, r)
}

// Scheduled calls handle_scheduled.
func (s *isolate) Scheduled(ctx context.Context, c *guest.Call, e model.ScheduledEvent) error {
	f := s.vm.Func(wasm.HandleScheduled)
	if f == nil {
		return model.Invalid("the function has no handler of jobs").WithWhy("its module does not export %s", wasm.HandleScheduled).
			WithHint("export %s() -> i32, which returns 0 when the job is done", wasm.HandleScheduled)
	}
	s.begin(ctx, c, &e)
	defer s.end()
	s.x = exchange{features: s.base}
	stack := s.x.stack[:1]
	if err := f.Call(stack); err != nil {
		return s.trapped(wasm.HandleScheduled, err)
	}
	if code := int32(uint32(stack[0])); code != 0 {
		return fmt.Errorf("%s returned %d", wasm.HandleScheduled, code)
	}
	return nil
}

func (s *isolate) begin(ctx context.Context, c *guest.Call, job *model.ScheduledEvent) {
	s.State.Begin(c.World, job)
	s.out.Begin(c.World)
	s.err.Begin(c.World)
	s.vm.Begin(ctx, c.CPU, c.Deadline)
}

func (s *isolate) end() {
	s.vm.End()
	s.State.End()
	s.out.End()
	s.err.End()
}

// trapped adds to an error what the guest was doing. The limits keep their own words.
func (s *isolate) trapped(name string, err error) error {
	if code, left := vm.ExitCode(err); left {
		return fmt.Errorf("%s: the guest left with exit code %d", name, code)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Reset brings the instance back to the state after its start, and makes a new one where that cannot be.
func (s *isolate) Reset(ctx context.Context) error {
	if s.p.snapshot != nil {
		err := s.vm.Reset(ctx)
		if !errors.Is(err, vm.ErrNoSnapshot) {
			return err
		}
	}
	if err := s.vm.Close(ctx); err != nil {
		return err
	}
	return s.renew(ctx)
}

// Memory returns the bytes of linear memory.
func (s *isolate) Memory() int64 { return s.vm.Size() }

// Close frees the instance.
func (s *isolate) Close(ctx context.Context) error { return s.vm.Close(ctx) }
