//go:build linux

// Package bindings is what WASM guests of every kind may ask for besides their request: the key-value store (module
// pandabox_kv), outbound requests (pandabox_http) and the job that is due (pandabox_job). docs/functions-wasm.md has the
// signatures.
//
// Numbers are as in the http-wasm ABI: a buffer is a pointer and a limit, nothing is written where the limit is too small,
// and the length that is needed is returned. Where a result is negative it says why nothing was done; last_error has the
// words.
package bindings

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/edge/bundle/wasm"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

// Results below zero.
const (
	NotFound = -1 // there is no such key
	Invalid  = -2 // the arguments are wrong
	Refused  = -3 // a limit or the egress policy
	Failed   = -4 // the store or the other side did not do it
)

// Guest is what vm.Instance.State has to be.
type Guest interface{ Bindings() *State }

// State is what one instance holds of the outside. Embedded, it makes a Guest of its owner.
type State struct {
	// BeforeWait is called before the guest waits for the outside, if set: what it wrote so far goes out now.
	BeforeWait func()

	world guest.World // nil between calls
	job   *model.ScheduledEvent
	fault string // of the last result below zero
	open  [maxOpen]*opened
}

// Bindings returns s.
func (s *State) Bindings() *State { return s }

// Begin opens the outside for one call. job is nil for a request.
func (s *State) Begin(w guest.World, job *model.ScheduledEvent) { s.world, s.job, s.fault = w, job, "" }

// End closes it, with every answer the guest left open.
func (s *State) End() {
	for i := range s.open {
		s.drop(i)
	}
	s.world, s.job = nil, nil
}

// Register makes the modules importable, once for a machine.
func Register(ctx context.Context, m *vm.Machine) error {
	for name, funcs := range map[string][]vm.HostFunc{wasm.KV: kvFuncs(), wasm.HTTP: httpFuncs(), wasm.Job: jobFuncs()} {
		if err := m.Register(ctx, name, append(funcs, fn("last_error", 2, vm.I32, lastError))); err != nil {
			return err
		}
	}
	return nil
}

// fn describes a host function whose n parameters are all i32.
func fn(name string, n int, result vm.ValueType, call func(i *vm.Instance, s *State, stack []uint64)) vm.HostFunc {
	params := make([]vm.ValueType, n)
	for i := range params {
		params[i] = vm.I32
	}
	return vm.HostFunc{Name: name, Params: params, Results: []vm.ValueType{result}, Call: func(i *vm.Instance, stack []uint64) {
		call(i, i.State.(Guest).Bindings(), stack)
	}}
}

func lastError(i *vm.Instance, s *State, stack []uint64) {
	stack[0] = uint64(WriteString(i, stack[0], stack[1], s.fault))
}

// wait runs f while the guest's clock of CPU time stands still. A call whose time is over ends there.
func (s *State) wait(i *vm.Instance, f func(ctx context.Context)) {
	if s.world == nil {
		i.Fail(errors.New("the guest asked for the outside while it was starting; do so in a request"))
	}
	if s.BeforeWait != nil {
		s.BeforeWait()
	}
	ctx := i.Context()
	i.Pause()
	f(ctx)
	i.Resume()
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		i.Fail(guest.ErrTimeout)
	case err != nil:
		i.Fail(err)
	}
}

// code keeps an error for last_error and returns its number.
func (s *State) code(err error) int64 {
	s.fault = err.Error()
	switch model.KindOf(err) {
	case model.KindInvalid, model.KindTooLarge:
		return Invalid
	case model.KindForbidden, model.KindRateLimited, model.KindConflict, model.KindNoSpace:
		return Refused
	}
	return Failed
}

func (s *State) invalid(text string) int64 {
	s.fault = text
	return Invalid
}

// i32 is a result that fills an i32.
func i32(v int64) uint64 { return uint64(uint32(int32(v))) }
