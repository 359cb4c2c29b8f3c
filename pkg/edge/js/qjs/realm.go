package qjs

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// scratchSize is the buffer in guest memory through which strings and small buffers pass, in bytes.
const scratchSize = 16 << 10

// Marks is where things are in guest memory. They are equal in every instance restored from one snapshot.
type Marks struct {
	Context uint32 // the JSContext
	Scratch uint32 // a buffer of scratchSize bytes
}

// Realm is the QuickJS context of one instance. After an error of any method (a trap, a limit) the instance is broken.
type Realm struct {
	vm    *vm.Instance
	mem   api.Memory
	fn    [entries]*vm.Func // found when they are first called: each has a stack of its own
	marks Marks
}

// Attach begins to speak to an instance of the engine. Boot or Restore comes next.
func Attach(i *vm.Instance) *Realm { return &Realm{vm: i, mem: i.Memory()} }

// Boot makes the runtime and the context. maxStack is the bytes of C stack JavaScript may use, at most half of the
// engine's 1 MiB.
func (r *Realm) Boot(maxStack int) error {
	if _, err := r.do(fnInitialize); err != nil {
		return err
	}
	if rc, err := r.do(fnInit); err != nil || rc != 0 {
		return errors.Join(errors.New("the JavaScript engine did not start"), err)
	}
	if _, err := r.do(fnStackSize, uint64(maxStack)); err != nil {
		return err
	}
	if _, err := r.do(fnOnRejection, 1); err != nil {
		return err
	}
	if _, err := r.do(fnInterrupt, 1); err != nil {
		return err
	}
	c, err := r.do(fnContext)
	if err != nil {
		return err
	}
	s, err := r.do(fnMalloc, scratchSize)
	if err != nil || uint32(s) == 0 {
		return errors.Join(errors.New("the JavaScript engine has no memory"), err)
	}
	r.marks = Marks{Context: uint32(c), Scratch: uint32(s)}
	return nil
}

// Marks returns what Restore needs for an instance made from a snapshot of this one.
func (r *Realm) Marks() Marks { return r.marks }

// Restore says that the instance holds a snapshot of one that was booted.
func (r *Realm) Restore(m Marks) { r.marks = m }

// LimitMemory sets the bytes JavaScript values may take; past it "out of memory" is thrown.
func (r *Realm) LimitMemory(n int64) error {
	_, err := r.do(fnMemoryLimit, uint64(uint32(n)))
	return err
}

// CollectAt sets after how many bytes of new objects cycles are looked for.
func (r *Realm) CollectAt(n int) error {
	_, err := r.do(fnGcThreshold, uint64(uint32(n)))
	return err
}

// Collect looks for cycles now.
func (r *Realm) Collect() error {
	_, err := r.do(fnGc)
	return err
}

// do calls an engine function and returns its result, where it has one.
func (r *Realm) do(e entry, args ...uint64) (uint64, error) {
	f := r.fn[e]
	if f == nil {
		if f = r.vm.Func(e.name()); f == nil {
			return 0, fmt.Errorf("the JavaScript engine has no function %s", e.name())
		}
		r.fn[e] = f
	}
	var stack [8]uint64 // not one of the Realm's: the host may be called meanwhile, and call again
	n := copy(stack[:], args)
	if err := f.Call(stack[:max(n, 1)]); err != nil {
		return 0, err
	}
	return stack[0], nil
}

// randomState is where a JSContext has the state of Math.random.
const randomState = 280

// Seed begins the numbers of Math.random anew: what is restored from a snapshot would repeat those of all others.
func (r *Realm) Seed(n uint64) error {
	if !r.mem.WriteUint64Le(r.marks.Context+randomState, max(n, 1)) {
		return errMemory
	}
	return nil
}
