//go:build linux

// Package js runs functions written in JavaScript: QuickJS in WASM (see package engine), the web platform's classes
// (package web), and an event loop in Go.
//
// An engine boots once and is kept as a snapshot, the base. A program is a delta on it: the state after its module was
// evaluated. An isolate is an instance that begins with that state. It answers one call at a time; timers, requests and
// reads of a call end with it.
//
// An exception of a handler is answered with a plain 500 page and written to the log with the author's own lines; the
// isolate lives on, as a Worker's does: the language defines what state an exception leaves. A limit, a trap and a client
// that went away are errors of Serve, after which the isolate is thrown away.
package js

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/engine"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/edge/js/web"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// Config is what an Engine needs.
type Config struct {
	Machine *vm.Machine // one Engine to a Machine
	Prelude Prelude     // zero: that of package web
	Dir     string      // keeps snapshots of programs over restarts, readable by the owner only; "" keeps none
	Logger  *slog.Logger
}

// Prelude is the web platform's classes: a script and the Go functions it calls. See package bridge.
type Prelude struct {
	Source    string
	Functions []bridge.Function
}

// Engine opens programs. It may be used from any goroutine.
type Engine struct {
	log     *slog.Logger
	prelude Prelude
	hosts   []hostFunc // by magic
	module  *vm.Module
	base    *vm.Snapshot
	booted  realm // what instances made from base have
	store   store
}

// New compiles the engine and boots it.
func New(ctx context.Context, c Config) (*Engine, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Prelude.Source == "" {
		c.Prelude = Prelude{Source: web.Source(), Functions: web.Functions()}
	}
	e := &Engine{log: c.Logger, prelude: c.Prelude}
	e.hosts = append(bridged(c.Prelude.Functions), own()...)
	if err := c.Machine.Register(ctx, qjs.HostModule, qjs.Imports(qjs.Host{Call: e.called, Rejected: rejected, Interrupt: interrupt})); err != nil {
		return nil, err
	}
	wasm, err := engine.Wasm()
	if err != nil {
		return nil, err
	}
	if wasm, err = engine.Lean(wasm); err != nil {
		return nil, err
	}
	if e.module, err = c.Machine.Compile(ctx, wasm, qjs.HostModule, vm.WASI); err != nil {
		return nil, fmt.Errorf("compiling the JavaScript engine: %w", err)
	}
	if e.store, err = openStore(c.Dir, e.prelude); err != nil {
		return nil, err
	}
	if err := e.boot(ctx); err != nil {
		return nil, fmt.Errorf("starting the JavaScript engine: %w", err)
	}
	return e, nil
}

// Close frees the engine. Its programs are closed before.
func (e *Engine) Close(ctx context.Context) error {
	var err error
	if e.base != nil {
		err = e.base.Close()
	}
	if cerr := e.module.Close(ctx); err == nil {
		err = cerr
	}
	return err
}

// How long the boot of the engine may take, and of which memory.
const (
	bootTime   = 30 * time.Second
	bootMemory = 16 << 20
	maxStack   = 256 << 10 // of the engine's 1 MiB, bytes: native code of deep recursion takes many times that, and the machine ends it
)

var _ interface {
	Open(context.Context, guest.Code) (guest.Program, error)
} = (*Engine)(nil)
