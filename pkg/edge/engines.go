package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/httpwasm"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/web"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/edge/wagi"
	"github.com/pandabox/pandabox/pkg/model"
)

// engines make code ready, by runtime. The ones that are built in are started when a function first needs them: a box
// without functions pays nothing.
type engines struct {
	given map[model.FunctionRuntime]Engine

	life    context.Context
	dir     string
	logger  *slog.Logger
	turns   *turns
	machine func() (*vm.Machine, error)
	wasm    func() (*httpwasm.Engine, error)
	script  func() (*js.Engine, error)

	mu      sync.Mutex
	closers []func(context.Context) error // in the order things were started
}

func newEngines(life context.Context, cfg Config, t *turns) *engines {
	e := &engines{given: cfg.Engines, life: life, dir: cfg.cacheDir(), turns: t, logger: slog.New(zerolog.NewSlogHandler(cfg.Logger))}
	e.machine = sync.OnceValues(e.startMachine)
	e.wasm = sync.OnceValues(e.startWasm)
	e.script = sync.OnceValues(e.startScript)
	return e
}

// open makes code ready.
func (e *engines) open(ctx context.Context, code guest.Code) (guest.Program, error) {
	engine, err := e.engine(code.Function.Runtime)
	if err != nil {
		return nil, err
	}
	p, err := engine.Open(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("making the function's code ready: %w", err)
	}
	return p, nil
}

func (e *engines) engine(r model.FunctionRuntime) (Engine, error) {
	if given, ok := e.given[r]; ok {
		return given, nil
	}
	switch r {
	case model.RuntimeJS:
		return e.script()
	case model.RuntimeHTTPWasm:
		return e.wasm()
	case model.RuntimeWAGI:
		if _, err := e.wasm(); err != nil { // which registers what both offer to guests
			return nil, err
		}
		m, err := e.machine()
		if err != nil {
			return nil, err
		}
		return wagi.New(m), nil
	}
	return nil, model.Invalid("%q is not a runtime of functions", r).WithHint("choose js, http-wasm or wagi")
}

// close frees what was started. All programs are closed.
func (e *engines) close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var err error
	for i := len(e.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, e.closers[i](ctx))
	}
	e.closers = nil
	return err
}

func (e *engines) started(close func(context.Context) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closers = append(e.closers, close)
}

func (e *engines) startMachine() (*vm.Machine, error) {
	m, err := vm.New(e.life, vm.Config{CacheDir: filepath.Join(e.dir, "wasm"), Logger: e.logger, Turns: e.turns})
	if err == nil {
		e.started(m.Close)
	}
	return m, err
}

func (e *engines) startWasm() (*httpwasm.Engine, error) {
	m, err := e.machine()
	if err != nil {
		return nil, err
	}
	if err := bindings.Register(e.life, m); err != nil {
		return nil, err
	}
	return httpwasm.New(e.life, m)
}

func (e *engines) startScript() (*js.Engine, error) {
	m, err := e.machine()
	if err != nil {
		return nil, err
	}
	engine, err := js.New(e.life, js.Config{
		Machine: m, Prelude: js.Prelude{Source: web.Source(), Functions: web.Functions()}, Dir: filepath.Join(e.dir, "js"), Logger: e.logger,
	})
	if err == nil {
		e.started(engine.Close)
	}
	return engine, err
}
