//go:build linux

package vm

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// Func is an exported function of an instance.
type Func struct {
	i               *Instance
	name            string
	own             *stack
	params, results int
}

// stack is one native stack to call a function with.
type stack struct {
	fn    api.Function
	slice reflect.Value // the stack's bytes
	busy  bool
}

func newStack(fn api.Function) *stack {
	// The length of the native stack is nowhere to be asked for, and one of 50 MB in each of some isolates is more than a
	// small box has. A test sees to it that wazero still has the field.
	return &stack{fn: fn, slice: reflect.ValueOf(fn).Elem().FieldByName("stack")}
}

// size is how many bytes of native stack there are.
func (e *stack) size() int {
	if e == nil || !e.slice.IsValid() {
		return 0
	}
	return e.slice.Len()
}

// Func returns an exported function, nil where there is none. It is looked up once: keep it.
func (i *Instance) Func(name string) *Func {
	if f, ok := i.funcs[name]; ok {
		return f
	}
	sig, ok := i.module.shared.meta.Exports[name]
	if !ok {
		return nil
	}
	own := i.stacks[name]
	if own == nil {
		own = newStack(i.mod.ExportedFunction(name))
		i.stacks[name] = own
	}
	f := &Func{i: i, name: name, own: own, params: len(sig.Params), results: len(sig.Results)}
	i.funcs[name] = f
	return f
}

// Call calls the function between Begin and End, or from a host function that it called. stack holds the parameters and
// gets the results: it is as long as the longer of the two. Nothing is allocated. After an error the instance can only be
// closed; guest.ErrCPU, guest.ErrTimeout and guest.ErrMemory say which limit ended it.
func (f *Func) Call(stack []uint64) error {
	i, e := f.i, f.own
	if i.broken {
		return errBroken
	}
	if e.busy { // the guest called the host, which calls the same function: each has a stack of its own
		e = newStack(i.mod.ExportedFunction(f.name))
	}
	before := i.running
	e.busy, i.running = true, e
	err := e.fn.CallWithStack(&i.call, stack)
	e.busy, i.running = false, before
	if err != nil {
		return i.failed(f.name, err)
	}
	return nil
}

// Call calls an exported function by name, as Func.Call does.
func (i *Instance) Call(name string, args ...uint64) ([]uint64, error) {
	f := i.Func(name)
	if f == nil {
		return nil, fmt.Errorf("calling a WASM module: it exports no function %s", name)
	}
	if len(args) != f.params {
		return nil, fmt.Errorf("calling %s of a WASM module: it takes %d values, not %d", name, f.params, len(args))
	}
	stack := make([]uint64, max(f.results, f.params))
	copy(stack, args)
	if err := f.Call(stack); err != nil {
		return nil, err
	}
	return stack[:f.results], nil
}

// ExitCode returns the code with which a guest left through WASI's proc_exit, and whether it did.
func ExitCode(err error) (uint32, bool) {
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), true
	}
	return 0, false
}

var errBroken = errors.New("calling a WASM module: it failed before")

func (i *Instance) failed(name string, err error) error {
	i.broken = true
	if i.stopped != nil {
		return i.stopped
	}
	if _, left := ExitCode(err); !left && i.memory != nil && i.memory.refused {
		return fmt.Errorf("%w: %w", guest.ErrMemory, err)
	}
	return fmt.Errorf("calling %s of a WASM module: %w", name, err)
}
