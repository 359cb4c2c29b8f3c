package edge

import (
	"context"
	"fmt"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// engines make code ready, by runtime.
type engines struct {
	by map[model.FunctionRuntime]Engine
}

func newEngines(_ context.Context, cfg Config) (*engines, error) {
	return &engines{by: cfg.Engines}, nil
}

func (e *engines) open(ctx context.Context, code guest.Code) (guest.Program, error) {
	engine, ok := e.by[code.Function.Runtime]
	if !ok {
		return nil, model.Invalid("%q is not a runtime of functions", code.Function.Runtime)
	}
	p, err := engine.Open(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("opening the code of a function: %w", err)
	}
	return p, nil
}

func (e *engines) close(context.Context) error { return nil }
