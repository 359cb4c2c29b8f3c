//go:build linux

package js

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

// The handlers a program has.
const (
	handlesFetch     = 1
	handlesScheduled = 2
)

// Program is a module that was evaluated.
type Program struct {
	engine   *Engine
	snapshot *vm.Snapshot
	memory   int64  // bytes an isolate may have
	env      string // variables as JSON; never part of a snapshot, since those are files
	handlers int
	trace    tracer
}

var _ guest.Program = (*Program)(nil)

// Open evaluates the module and takes its snapshot, or finds the one that was taken before.
func (e *Engine) Open(ctx context.Context, bundle guest.Code) (guest.Program, error) {
	limits := bundle.Function.Limits.Filled()
	p := &Program{engine: e, memory: limits.Memory}
	var err error
	if p.trace.raw, p.trace.file, err = e.store.sourceMap(bundle.SourceMap); err != nil {
		return nil, err
	}
	if len(bundle.Env) > 0 {
		b, err := json.Marshal(bundle.Env)
		if err != nil {
			return nil, fmt.Errorf("writing the variables of a function: %w", err)
		}
		p.env = string(b)
	}
	key := programKey(bundle.Main, p.memory)
	if p.snapshot, p.handlers = e.store.program(e.module, e.base, key); p.snapshot != nil {
		return p, nil
	}
	until := time.Now().Add(limits.Timeout.Std())
	var code []byte
	parser, err := p.within(ctx, limits.CPU.Std(), until, func(i *isolate) (err error) {
		code, err = i.compile(string(bundle.Main))
		return err
	})
	if err != nil {
		return nil, loading(err)
	}
	if err := parser.Close(ctx); err != nil {
		return nil, err
	}
	i, err := p.within(ctx, limits.CPU.Std(), until, func(i *isolate) error { return i.load(code) })
	if err != nil {
		return nil, loading(err)
	}
	if p.snapshot, err = e.store.keep(ctx, e.module, i.vm, e.base, key+"-"+strconv.Itoa(p.handlers)); err != nil {
		return nil, err
	}
	return p, nil
}

// New returns a fresh isolate.
func (p *Program) New(ctx context.Context) (guest.Isolate, error) {
	i, err := p.engine.isolate(ctx, p, p.snapshot, p.memory)
	if err != nil {
		return nil, fmt.Errorf("making an isolate: %w", err)
	}
	return i, nil
}

// Snapshot returns the size of the program's own part of the state.
func (p *Program) Snapshot() int64 { return p.snapshot.Size() }

// Close frees the program.
func (p *Program) Close(context.Context) error { return p.snapshot.Close() }

// Bounds of JavaScript's own memory, bytes.
const (
	reserve   = 5 << 18 // what of an isolate's memory is not for JavaScript's values: the engine's stack and data
	collectAt = 6 << 20 // how many there are when cycles are looked for the first time: it takes a millisecond and
	// touches every page, and most garbage has no cycles
)

// within runs f in an isolate of the bare engine, with the meter on. After an error the isolate is closed.
func (p *Program) within(ctx context.Context, cpu time.Duration, until time.Time, f func(i *isolate) error) (*isolate, error) {
	i, err := p.engine.isolate(ctx, p, p.engine.base, p.memory)
	if err != nil {
		return nil, err
	}
	i.vm.Begin(ctx, cpu, until)
	if err = i.js.LimitMemory(p.memory - reserve); err == nil {
		if err = i.js.CollectAt(int(min(collectAt, (p.memory-reserve)*3/4))); err == nil {
			err = f(i)
		}
	}
	i.vm.End()
	if err != nil {
		_ = i.Close(ctx)
		return nil, err
	}
	return i, nil
}

// compile turns the module into bytecode: what parsing leaves behind, and the text, are no part of the snapshot then.
func (i *isolate) compile(main string) ([]byte, error) {
	code, ok, err := i.js.Compile(main, mainName, qjs.Module)
	if err == nil && !ok {
		err = i.topLevel()
	}
	return code, err
}

// load evaluates a module and finds its handlers.
func (i *isolate) load(code []byte) error {
	promise, err := i.js.Run(code)
	if err != nil {
		return err
	}
	if promise == qjs.Exception {
		return i.topLevel()
	}
	if err := i.drain(); err != nil {
		return err
	}
	state, err := i.js.State(promise)
	if err != nil {
		return err
	}
	result, err := i.js.Result(promise)
	if err != nil {
		return err
	}
	switch state {
	case qjs.Rejected:
		what, stack, err := i.describe(result)
		if err != nil {
			return err
		}
		return i.program.topLevel(what, stack)
	case qjs.Pending:
		return model.Invalid("the function's module never finishes loading").
			WithWhy("it awaits something at its top level, where nothing can come from outside").
			WithHint("move what waits into the fetch handler")
	}
	found, err := i.js.Call(i.x.Adopt, qjs.Undefined, result)
	if err != nil {
		return err
	}
	if found == qjs.Exception {
		return i.topLevel()
	}
	if i.program.handlers = found.Int(); i.program.handlers == 0 {
		return model.Invalid("the function's module exports no handler").
			WithHint("write: export default { async fetch(request, env, ctx) { return new Response(\"hello\") } }")
	}
	if err := errors.Join(i.js.Free(result), i.js.Free(promise)); err != nil {
		return err
	}
	i.rejects = nil
	return i.js.Tidy() // and no Collect: that relinks every object, and the snapshot would have the whole heap in it
}

// topLevel is the pending exception as the error of a deploy.
func (i *isolate) topLevel() error {
	what, stack, err := i.caught()
	if err != nil {
		return err
	}
	return i.program.topLevel(what, stack)
}

func (p *Program) topLevel(what, stack string) error {
	if what == outOfMemory {
		return guest.ErrMemory
	}
	e := model.Invalid("the function's module threw while it was loaded").WithWhy("%s", what)
	if place := p.trace.place(stack); place != "" {
		e = e.WithWhy("%s, at %s", what, place)
	}
	return e.WithHint("%s", topLevelHint(what))
}

// loading names the limit that loading a module came upon.
func loading(err error) error {
	const hint = "what runs at the module's top level runs once, at the deploy: move the work into the handlers, or raise limits.%s"
	e := model.Invalid("the function's module could not be loaded").Wrap(err)
	switch {
	case errors.Is(err, guest.ErrCPU):
		return e.WithWhy("%s", guest.ErrCPU).WithHint(hint, "cpu")
	case errors.Is(err, guest.ErrTimeout):
		return e.WithWhy("%s", guest.ErrTimeout).WithHint(hint, "timeout")
	case errors.Is(err, guest.ErrMemory):
		return e.WithWhy("%s", guest.ErrMemory).WithHint(hint, "memory")
	}
	return err
}
