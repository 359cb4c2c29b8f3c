//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/pandabox/pandabox/pkg/edge/fuel"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Options are those of an instance.
type Options struct {
	MemoryMax int64     // bytes that its memory may grow to; 0 means model.DefaultFunctionMemory
	Snapshot  *Snapshot // the state it begins with, of the same module; nil: that of the module's own data
	State     any       // what host functions find in Instance.State

	// What WASI has for it. What is nil is empty, or goes nowhere.
	Args           []string
	Env            map[string]string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Instance is a running module. One goroutine at a time may use it.
type Instance struct {
	// State belongs to the owner: what host functions work with.
	State any

	*body
	module  *Module
	funcs   map[string]*Func
	running *stack // what runs, or called the host
	call    callContext
	meter   meter
	stopped error // why the host ended the guest
	broken  bool  // it can only be closed
	closed  bool
}

// body is what may outlive an instance, to be that of another one.
type body struct {
	mod     api.Module
	mem     api.Memory // nil: it has none
	memory  *memory
	globals []api.MutableGlobal
	origin  *Snapshot // what Reset goes back to
	stacks  map[string]*stack
	wasi    *wasi
}

// What a start function may use.
const (
	startCPU  = time.Second
	startTime = 10 * time.Second
)

// Instantiate makes an instance. Nothing of the guest has run but its start function, where it has one and does not begin
// with a snapshot: _initialize and _start are the caller's to call.
func (m *Module) Instantiate(ctx context.Context, o Options) (*Instance, error) {
	i := &Instance{State: o.State, module: m, funcs: map[string]*Func{}}
	i.call.i = i
	if b := m.spare(o); b != nil {
		i.body = b
		if err := i.wear(o); err != nil {
			return nil, fmt.Errorf("starting a WASM module: %w", errors.Join(err, m.discard(context.WithoutCancel(ctx), b)))
		}
		return i, nil
	}
	i.body = &body{stacks: map[string]*stack{}, wasi: newWASI(i, o)}
	if err := i.open(o); err != nil {
		return nil, err
	}
	compiled, err := m.shared.acquire(ctx)
	if err != nil {
		i.free()
		return nil, err
	}
	if err := i.link(ctx, compiled, o); err != nil {
		m.shared.release(ctx)
		i.free()
		return nil, err
	}
	if m.shared.meta.Start && o.Snapshot == nil {
		if err := i.start(ctx); err != nil {
			_ = i.Close(ctx)
			return nil, err
		}
	}
	return i, nil
}

// Memory is the linear memory: what Read returns is good until the guest runs again, and must not be touched after Close.
// Nil where there is none.
func (i *Instance) Memory() api.Memory { return i.mem }

// Size is how many bytes of memory the instance has.
func (i *Instance) Size() int64 {
	if i.memory == nil {
		return 0
	}
	return int64(i.memory.size)
}

// Close frees the instance, or keeps what it is made of for the next one. No call of it is under way.
func (i *Instance) Close(ctx context.Context) error {
	if i.closed {
		return nil
	}
	keep := !i.broken && i.keepable()
	i.closed, i.broken = true, true
	if keep && i.strip() == nil {
		i.module.machine.keep(ctx, i.module.shared, i.body)
		return nil
	}
	return i.module.discard(ctx, i.body)
}

// memoryLimit is how many bytes memory may grow to.
func memoryLimit(o Options) int64 {
	if o.MemoryMax == 0 {
		return model.DefaultFunctionMemory
	}
	return o.MemoryMax &^ (wasmPage - 1)
}

// open makes the memory.
func (i *Instance) open(o Options) error {
	s := i.module.shared
	if s.meta.Memory == nil {
		return nil
	}
	origin := o.Snapshot
	if origin == nil {
		origin = s.image
	}
	if origin.Module != s.digest {
		return fmt.Errorf("starting a WASM module: the snapshot is of another one")
	}
	size := int64(origin.header.Memory)
	if limit := memoryLimit(o); size > limit {
		return model.Invalid("the WASM module begins with %d MB of memory and may have %d MB", size>>20, limit>>20).
			WithHint("raise limits.memory").Wrap(guest.ErrMemory)
	}
	if err := origin.acquire(); err != nil {
		return err
	}
	memory, err := reserve(memoryLimit(o), size)
	if err != nil {
		origin.release()
		return fmt.Errorf("starting a WASM module: %w", err)
	}
	i.memory, i.origin = memory, origin
	if err := origin.apply(memory); err != nil {
		i.free()
		return fmt.Errorf("starting a WASM module: %w", err)
	}
	return nil
}

// free undoes open.
func (b *body) free() {
	if b.memory != nil {
		b.memory.close()
	}
	if b.origin != nil {
		b.origin.release()
		b.origin = nil
	}
}

// link makes the instance in wazero, with the memory there is.
func (i *Instance) link(ctx context.Context, compiled wazero.CompiledModule, o Options) error {
	c := i.wasi.config(o).WithRandSource(i.module.machine.config.Random)
	if i.memory != nil {
		ctx = experimental.WithMemoryAllocator(ctx, i.memory)
	}
	mod, err := i.module.machine.instantiate(ctx, compiled, c)
	if err != nil {
		return fmt.Errorf("starting a WASM module: %w", err)
	}
	i.mod = mod
	if i.memory != nil {
		i.mem = mod.Memory()
	}
	for _, name := range i.module.shared.meta.Globals {
		i.globals = append(i.globals, mod.ExportedGlobal(name).(api.MutableGlobal))
	}
	if o.Snapshot == nil {
		return nil
	}
	for n, g := range i.globals {
		g.Set(o.Snapshot.Globals[n])
	}
	if !i.module.shared.meta.Lifted { // wazero has written the module's data over what was there
		return i.memory.reset(o.Snapshot, i.module.machine.pagemap)
	}
	return nil
}

func (m *Machine) instantiate(ctx context.Context, compiled wazero.CompiledModule, c wazero.ModuleConfig) (mod api.Module, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the runtime failed: %v", r)
		}
	}()
	return m.runtime.InstantiateModule(ctx, compiled, c)
}

// start runs the start function.
func (i *Instance) start(ctx context.Context) error {
	i.Begin(ctx, startCPU, time.Now().Add(startTime))
	defer i.End()
	fn := newStack(i.mod.ExportedFunction(fuel.StartExport))
	i.running = fn
	err := fn.fn.CallWithStack(&i.call, nil)
	i.running = nil
	if err != nil {
		return i.failed("its start function", err)
	}
	return nil
}
