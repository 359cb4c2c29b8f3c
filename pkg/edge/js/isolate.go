//go:build linux

package js

import (
	"context"
	"math/rand/v2"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// isolate is one instance of the engine with one program in it.
type isolate struct {
	engine  *Engine
	program *Program
	vm      *vm.Instance
	js      *qjs.Realm
	x       exposed
	call    *call // under way; nil between calls and while a module is loaded
	rejects []rejection
	cut     bool // JavaScript was interrupted: the isolate is at its CPU limit
}

var _ guest.Isolate = (*isolate)(nil)

// isolate makes an instance that begins with a snapshot of the engine or of a program.
func (e *Engine) isolate(ctx context.Context, p *Program, s *vm.Snapshot, memory int64) (*isolate, error) {
	i := &isolate{engine: e, program: p, x: e.booted.Exposed}
	var err error
	if i.vm, err = e.module.Instantiate(ctx, vm.Options{MemoryMax: memory, Snapshot: s, State: i}); err != nil {
		return nil, err
	}
	i.js = qjs.Attach(i.vm)
	i.js.Restore(e.booted.Marks)
	if err := i.fresh(); err != nil {
		_ = i.vm.Close(ctx)
		return nil, err
	}
	return i, nil
}

// fresh changes what must differ between instances of one snapshot.
func (i *isolate) fresh() error { return i.js.Seed(rand.Uint64()) }

// Reset brings the isolate back to its program's snapshot.
func (i *isolate) Reset(ctx context.Context) error {
	i.rejects = nil
	if err := i.vm.Reset(ctx); err != nil {
		return err
	}
	return i.fresh()
}

// Memory returns the bytes of linear memory.
func (i *isolate) Memory() int64 { return i.vm.Size() }

// Close frees the isolate.
func (i *isolate) Close(ctx context.Context) error { return i.vm.Close(ctx) }

// context is that of the call under way.
func (i *isolate) context() context.Context {
	if i.call != nil {
		return i.call.ctx
	}
	return i.vm.Context()
}
