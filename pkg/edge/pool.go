package edge

import (
	"context"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// openTime bounds how long code may take to be made ready.
const openTime = 60 * time.Second

// scriptMemory is about what a program in JavaScript takes while it has no isolates: the pages of its snapshot are in a
// file.
const scriptMemory = 24 << 10

// opening is a program on its way.
type opening struct {
	done chan struct{}
	err  error // after done
}

// take returns an isolate for one call: the one used last, or a new one.
func (f *function) take(ctx context.Context) (*isolate, error) {
	for {
		f.mu.Lock()
		if n := len(f.idle); n > 0 {
			i := f.idle[n-1]
			f.idle[n-1] = nil
			f.idle = f.idle[:n-1]
			f.out++
			f.working += i.memory
			f.mu.Unlock()
			f.host.held.Add(-i.memory)
			return i, nil
		}
		if program := f.program; program != nil {
			f.out++ // keeps the program open
			f.mu.Unlock()
			made, err := program.New(ctx)
			if err != nil {
				f.returned()
				return nil, fmt.Errorf("making an isolate: %w", err)
			}
			f.counts.isolates.Add(1)
			memory := made.Memory()
			f.mu.Lock()
			f.working += memory
			f.mu.Unlock()
			return &isolate{Isolate: made, memory: memory, born: memory}, nil
		}
		o := f.open()
		f.mu.Unlock()
		select {
		case <-o.done:
			if o.err != nil {
				return nil, o.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// give takes an isolate back. One that is not good any more, or has grown, is closed.
func (f *function) give(ctx context.Context, i *isolate, good bool) {
	had := i.memory
	if good {
		i.memory = i.Memory()
		good = i.memory <= i.born+max(8<<20, f.limits.Memory/4)
	}
	now := i.memory // somebody else's as soon as it is idle
	f.mu.Lock()
	keep := good && !f.ending
	f.out--
	f.working -= had
	f.used = time.Now()
	if keep {
		i.idleAt = f.used
		f.idle = append(f.idle, i)
	}
	f.mu.Unlock()
	if keep {
		f.host.hold(now)
		return
	}
	if err := i.Close(ctx); err != nil {
		f.host.cfg.Logger.Warn().Err(err).Str("function", f.spec.Name).Msg("closing an isolate")
	}
}

func (f *function) returned() {
	f.mu.Lock()
	f.out--
	f.mu.Unlock()
}

// open begins to make the program ready, unless that is under way. The caller holds mu.
func (f *function) open() *opening {
	if f.opening != nil {
		return f.opening
	}
	o := &opening{done: make(chan struct{})}
	f.opening = o
	f.host.tasks.Go(func() {
		program, err := f.host.load(f.host.life, f.spec)
		f.mu.Lock()
		f.opening, o.err = nil, err
		late := f.ending && len(f.calls) == 0 // who waited has gone, and nobody would free it
		if err == nil && !late {
			f.adopt(program)
		}
		f.mu.Unlock()
		if err == nil && late {
			_ = program.Close(f.host.life)
		}
		close(o.done)
	})
	return o
}

// adopt makes program the function's. The caller holds mu, or nobody else knows the function.
func (f *function) adopt(program guest.Program) {
	f.program, f.snapshot, f.used = program, program.Snapshot(), time.Now()
	if f.spec.Function.Runtime == model.RuntimeJS {
		f.snapshot = min(f.snapshot, scriptMemory)
	}
	f.host.hold(f.snapshot)
}

// load makes the code of a spec ready.
func (h *Host) load(ctx context.Context, spec model.ContainerSpec) (program guest.Program, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	select {
	case h.opening <- struct{}{}:
		defer func() { <-h.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer h.recovered("making a function ready", &err)
	code, err := h.bundles.code(spec.Function.Digest)
	if err != nil {
		return nil, err
	}
	code.Function = *spec.Function
	code.Function.Limits = spec.Function.Limits.Filled()
	code.Env = (&function{spec: spec}).env()
	return h.engines.open(ctx, code)
}
