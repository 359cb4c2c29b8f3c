//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Options are those of an instance.
type Options struct {
	MemoryMax int64     // bytes that its memory may grow to; 0 means model.DefaultFunctionMemory
	Snapshot  *Snapshot // the state it begins with; nil: that of the module's own data
	State     any       // what host functions find in Instance.State

	// What WASI has for it.
	Args           []string
	Env            map[string]string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Instance is a running module. One goroutine at a time may use it.
type Instance struct {
	// State belongs to the owner: what host functions work with.
	State any

	module  *Module
	mod     api.Module
	mem     api.Memory
	memory  *memory
	funcs   map[string]*Func
	call    callContext
	meter   meter
	stopped error // why the host ended the guest
	broken  bool
}

// Instantiate makes an instance. Nothing of the guest has run but its start function, where it has one and the instance
// does not begin with a snapshot: _initialize or _start is the caller's to call.
func (m *Module) Instantiate(ctx context.Context, o Options) (*Instance, error) {
	if o.MemoryMax == 0 {
		o.MemoryMax = model.DefaultFunctionMemory
	}
	i := &Instance{State: o.State, module: m, funcs: map[string]*Func{}}
	i.call.i = i
	i.memory = &memory{limit: uint64(o.MemoryMax)}
	for _, def := range m.shared.compiled.ExportedMemories() {
		if need := int64(def.Min()) << 16; need > o.MemoryMax {
			return nil, model.Invalid("the WASM module begins with %d MB of memory and may have %d MB", need>>20, o.MemoryMax>>20).
				WithHint("raise limits.memory").Wrap(guest.ErrMemory)
		}
	}
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithArgs(o.Args...).
		WithSysWalltime().WithSysNanotime().WithNanosleep(i.sleep).WithRandSource(m.machine.config.Random)
	for k, v := range o.Env {
		c = c.WithEnv(k, v)
	}
	if o.Stdin != nil {
		c = c.WithStdin(o.Stdin)
	}
	if o.Stdout != nil {
		c = c.WithStdout(o.Stdout)
	}
	if o.Stderr != nil {
		c = c.WithStderr(o.Stderr)
	}
	mod, err := m.machine.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, i.memory), m.shared.compiled, c)
	if err != nil {
		return nil, fmt.Errorf("starting a WASM module: %w", err)
	}
	i.mod, i.mem = mod, mod.Memory()
	return i, nil
}

// Memory is the linear memory: Read returns a view that is good until the guest runs again. Nil where there is none.
func (i *Instance) Memory() api.Memory { return i.mem }

// Size is how many bytes of memory the instance has.
func (i *Instance) Size() int64 {
	if i.mem == nil {
		return 0
	}
	return int64(i.mem.Size())
}

// Call calls an exported function between Begin and End. After an error the instance can only be closed.
func (i *Instance) Call(name string, args ...uint64) ([]uint64, error) {
	f := i.Func(name)
	if f == nil {
		return nil, fmt.Errorf("calling a WASM module: it exports no function %s", name)
	}
	stack := make([]uint64, max(len(args), f.results, f.params))
	copy(stack, args)
	if len(args) != f.params {
		return nil, fmt.Errorf("calling %s of a WASM module: it takes %d values, not %d", name, f.params, len(args))
	}
	if err := f.Call(stack); err != nil {
		return nil, err
	}
	return stack[:f.results], nil
}

// Close frees the instance.
func (i *Instance) Close(ctx context.Context) error {
	if err := i.mod.Close(ctx); err != nil {
		return fmt.Errorf("closing a WASM instance: %w", err)
	}
	return nil
}

// Func is an exported function of an instance.
type Func struct {
	i               *Instance
	name            string
	fn              api.Function
	params, results int
	busy            bool
}

// Func returns an exported function, nil where there is none. It is looked up once: keep it.
func (i *Instance) Func(name string) *Func {
	if f, ok := i.funcs[name]; ok {
		return f
	}
	fn := i.mod.ExportedFunction(name)
	if fn == nil {
		return nil
	}
	f := &Func{i: i, name: name, fn: fn, params: len(fn.Definition().ParamTypes()), results: len(fn.Definition().ResultTypes())}
	i.funcs[name] = f
	return f
}

// Call calls the function between Begin and End, and from host functions too. stack holds the parameters and gets the
// results: it is as long as the longer of the two. Nothing is allocated. After an error the instance can only be closed;
// guest.ErrCPU, guest.ErrTimeout and guest.ErrMemory say which limit ended it.
func (f *Func) Call(stack []uint64) error {
	fn := f.fn
	if f.busy { // the guest called the host, which calls the same function: each call under way has a stack of its own
		fn = f.i.mod.ExportedFunction(f.name)
	} else {
		f.busy = true
		defer func() { f.busy = false }()
	}
	err := fn.CallWithStack(&f.i.call, stack)
	if err == nil {
		return nil
	}
	return f.i.failed(f.name, err)
}

// ExitCode returns the code with which a guest left through WASI's proc_exit, and whether it did.
func ExitCode(err error) (uint32, bool) {
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), true
	}
	return 0, false
}

func (i *Instance) failed(name string, err error) error {
	i.broken = true
	switch {
	case i.stopped != nil:
		return i.stopped
	case i.memory.refused:
		if _, left := ExitCode(err); !left {
			return fmt.Errorf("%w: %w", guest.ErrMemory, err)
		}
	}
	return fmt.Errorf("calling %s of a WASM module: %w", name, err)
}
