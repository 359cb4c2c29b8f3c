package qjs

import (
	"encoding/binary"

	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// HostModule is the name under which the engine imports from the host.
const HostModule = "env"

// Host is what the engine calls, between Begin and End of the instance. An error ends the guest.
type Host struct {
	// Call is a call of a Function. args are borrowed and gone when it returns; the result is taken. After Throw it
	// returns Exception.
	Call func(i *vm.Instance, magic int, this Value, args []Value) (Value, error)
	// Rejected is told when a promise is rejected and nobody handles it, and again when somebody does later. Both values
	// are borrowed.
	Rejected func(i *vm.Instance, promise, reason Value, handled bool) error
	// Interrupt is asked now and then while JavaScript runs. True ends it with an exception that cannot be caught.
	Interrupt func(i *vm.Instance) bool
}

// maxArgs bounds what one call may hand to the host; what is more is not seen.
const maxArgs = 64

// Imports makes the engine's imports.
func Imports(h Host) []vm.HostFunc {
	i32 := func(n int) []vm.ValueType {
		types := make([]vm.ValueType, n)
		for i := range types {
			types[i] = vm.I32
		}
		return types
	}
	zero := func(_ *vm.Instance, stack []uint64) { stack[0] = 0 }
	return []vm.HostFunc{
		{Name: "host_get_timezone_offset", Params: i32(2), Results: i32(1), Call: zero}, // UTC
		{Name: "host_interrupt", Results: i32(1), Call: func(i *vm.Instance, stack []uint64) {
			if stack[0] = 0; h.Interrupt(i) {
				stack[0] = 1
			}
		}},
		{Name: "host_module_normalize", Params: i32(2), Results: i32(1), Call: zero},
		{Name: "host_module_load", Params: i32(2), Results: i32(1), Call: zero},
		{Name: "host_promise_rejection", Params: i32(3), Call: h.rejected},
		{Name: "host_call", Params: i32(5), Results: i32(1), Call: h.call},
	}
}

func (h Host) call(i *vm.Instance, stack []uint64) {
	mem := i.Memory()
	magic, result, this := int16(uint32(stack[0])), uint32(stack[1]), uint32(stack[2])
	n, argv := min(uint32(stack[3]), maxArgs), uint32(stack[4])
	self, _ := mem.ReadUint64Le(this)
	raw, ok := mem.Read(argv, 8*n)
	if !ok && n > 0 {
		i.Fail(errMemory)
	}
	var few [6]Value
	args := few[:0]
	for ; len(raw) >= 8; raw = raw[8:] {
		args = append(args, Value(binary.LittleEndian.Uint64(raw)))
	}
	v, err := h.Call(i, int(magic), Value(self), args)
	if err != nil {
		i.Fail(err)
	}
	if !mem.WriteUint64Le(result, uint64(v)) {
		i.Fail(errMemory)
	}
	stack[0] = 0
}

// rejected gets two boxes with values: the engine leaves both to the host.
func (h Host) rejected(i *vm.Instance, stack []uint64) {
	mem := i.Memory()
	promise, _ := mem.ReadUint64Le(uint32(stack[0]))
	reason, _ := mem.ReadUint64Le(uint32(stack[1]))
	handled := uint32(stack[2]) != 0
	boxes := [2]uint64{uint64(uint32(stack[0])), uint64(uint32(stack[1]))}
	if err := h.Rejected(i, Value(promise), Value(reason), handled); err != nil {
		i.Fail(err)
	}
	for _, b := range boxes {
		if _, err := i.Call("qjs_free_value", b); err != nil {
			i.Fail(err)
		}
	}
}
