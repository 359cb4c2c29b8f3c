//go:build linux

// Package wagi runs WASI commands as CGI programs: a fresh instance for each request, with the request in its environment
// and standard input, and the answer on its standard output. Any language that builds a WASI command can be a function
// this way, at the price of a start per request.
package wagi

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/bundle/wasm"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

// Engine makes programs of commands.
type Engine struct{ machine *vm.Machine }

// New makes an Engine. The bindings are registered with the machine already.
func New(m *vm.Machine) *Engine { return &Engine{machine: m} }

// Open compiles the command. What cannot run is a *model.Error.
func (e *Engine) Open(ctx context.Context, code guest.Code) (guest.Program, error) {
	if err := wasm.Check("main.wasm", code.Main, model.RuntimeWAGI); err != nil {
		return nil, err
	}
	module, err := e.machine.Compile(ctx, code.Main, wasm.KV, wasm.HTTP, wasm.Job, vm.WASI)
	if err != nil {
		return nil, err
	}
	p := &program{module: module, env: code.Env, memory: code.Function.Limits.Filled().Memory}
	// Once for nothing: a command that cannot have the memory it begins with is refused now, not at its first request.
	r := p.run(nil)
	if err := r.start(ctx, nil, nil); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, r.vm.Close(ctx)
}

// program is a compiled command.
type program struct {
	module *vm.Module
	env    map[string]string
	memory int64 // bytes
}

var (
	_ guest.Program  = (*program)(nil)
	_ guest.Isolate  = (*isolate)(nil)
	_ bindings.Guest = (*run)(nil)
)

// New returns an isolate, which is nothing until it serves.
func (p *program) New(context.Context) (guest.Isolate, error) { return &isolate{p: p}, nil }

// Snapshot returns 0: there is no state to begin with.
func (p *program) Snapshot() int64 { return 0 }

// Close frees the module.
func (p *program) Close(ctx context.Context) error { return p.module.Close(ctx) }

func (p *program) run(c *guest.Call) *run {
	return &run{p: p, call: c, out: bindings.Lines{Stream: "stdout"}, err: bindings.Lines{Stream: "stderr"}}
}

// isolate makes an instance per call.
type isolate struct{ p *program }

// Reset does nothing: there is no state.
func (s *isolate) Reset(context.Context) error { return nil }

// Memory returns 0: between calls there is none.
func (s *isolate) Memory() int64 { return 0 }

// Close does nothing.
func (s *isolate) Close(context.Context) error { return nil }
