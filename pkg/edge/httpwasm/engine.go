//go:build linux

// Package httpwasm runs WASM modules with the http-wasm handler ABI: the module exports handle_request and
// handle_response and asks for the parts of the request, and gives those of the answer, by calls of its host. A module is
// started once, kept as a snapshot, and its instances serve one request after another.
//
// The ABI is that of https://http-wasm.io/http-handler-abi/; docs/functions-wasm.md says what is added to it.
package httpwasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/bundle/wasm"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

// Engine makes programs of modules.
type Engine struct{ machine *vm.Machine }

// New makes an Engine. The bindings are registered with the machine already; New is called once for a machine.
func New(ctx context.Context, m *vm.Machine) (*Engine, error) {
	if err := m.Register(ctx, wasm.HTTPHandler, functions()); err != nil {
		return nil, err
	}
	return &Engine{machine: m}, nil
}

// Open compiles the module and starts it once, within the limits of one request. What cannot run is a *model.Error.
func (e *Engine) Open(ctx context.Context, code guest.Code) (guest.Program, error) {
	if err := wasm.Check("main.wasm", code.Main, model.RuntimeHTTPWasm); err != nil {
		return nil, err
	}
	env := code.Env
	if env == nil {
		env = map[string]string{}
	}
	config, err := json.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("writing a function's configuration: %w", err)
	}
	module, err := e.machine.Compile(ctx, code.Main, wasm.HTTPHandler, wasm.KV, wasm.HTTP, wasm.Job, vm.WASI)
	if err != nil {
		return nil, err
	}
	p := &program{module: module, config: config, env: env, limits: code.Function.Limits.Filled()}
	if err := p.boot(ctx); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}

// program is a module that has been started once.
type program struct {
	module   *vm.Module
	config   []byte // what get_config gives: the variables as JSON
	env      map[string]string
	limits   model.FunctionLimits
	features uint32       // that the module enabled while it started
	snapshot *vm.Snapshot // nil: each isolate starts the module itself
}

var _ guest.Program = (*program)(nil)

// boot starts the module and keeps what that left in memory.
func (p *program) boot(ctx context.Context) error {
	first := p.isolate()
	if err := first.start(ctx); err != nil {
		return err
	}
	p.features = first.base
	snapshot, err := first.vm.Snapshot(nil)
	if err == nil {
		p.snapshot = snapshot
	} else if !errors.Is(err, vm.ErrNoSnapshot) {
		return errors.Join(fmt.Errorf("keeping the state of a WASM module: %w", err), first.Close(ctx))
	}
	return first.Close(ctx)
}

func (p *program) isolate() *isolate {
	s := &isolate{p: p, base: p.features, out: bindings.Lines{Stream: "stdout"}, err: bindings.Lines{Stream: "stderr"}}
	s.BeforeWait = s.flush
	return s
}

// New returns a fresh instance.
func (p *program) New(ctx context.Context) (guest.Isolate, error) {
	s := p.isolate()
	if err := s.renew(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Snapshot returns the size of the state kept; where none can be, nothing is.
func (p *program) Snapshot() int64 {
	if p.snapshot == nil {
		return 0
	}
	return p.snapshot.Size()
}

// Close frees the module.
func (p *program) Close(ctx context.Context) error {
	var err error
	if p.snapshot != nil {
		err = p.snapshot.Close()
	}
	return errors.Join(err, p.module.Close(ctx))
}

// startTimeout bounds what happens before the first request.
func startTimeout(l model.FunctionLimits) time.Duration { return time.Duration(l.Timeout) }
