package fuel

import "fmt"

// Instructions that rewriting has to know.
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opSelectTyped        = 0x1c
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableGet           = 0x25
	opTableSet           = 0x26
	opMemorySize         = 0x3f
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32LtS             = 0x48
	opI32Sub             = 0x6b
	opRefNull            = 0xd0
	opRefFunc            = 0xd2
	opMisc               = 0xfc
	opVector             = 0xfd

	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableFill  = 17
)

// The weights of instructions in units of fuel. A unit is meant to be at most what a new page of memory costs, divided by
// that of an access: an access may always be the first one to a page, which takes the kernel 0.5 to 1 µs.
const (
	weightCharge   = 4 // of charging itself, so that nothing is free
	weightOp       = 1
	weightAccess   = 4
	weightDivide   = 6
	weightCall     = 10
	weightIndirect = 14
	weightBulk     = 400 // of an instruction that changes tables or the size of memory
	weightSmall    = 24  // a function without calls that weighs no more is not charged; its callers are
)

// instruction is one, decoded as far as rewriting needs it.
type instruction struct {
	op     byte
	sub    uint32 // of opMisc and opVector
	index  uint32 // of a local, global, function, table or segment
	value  int64  // of i32.const; the type of an indirect call
	weight uint32
	from   int // where it begins in the body; the reader is where it ends
}

// next reads an instruction. What cannot run here fails the reader.
func next(r *reader) instruction {
	i := instruction{from: r.at, weight: weightOp}
	i.op = r.byte()
	switch op := i.op; {
	case op == opI32Const:
		i.value, i.weight = r.signed(32), 0
	case op >= opLocalGet && op <= opLocalTee:
		i.index, i.weight = r.u32(), 0
	case op >= 0x45 && op <= 0xc4:
		if op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 || op == 0x95 || op == 0xa3 || op == 0x91 || op == 0x9f {
			i.weight = weightDivide
		}
	case op >= 0x28 && op <= 0x3e:
		memarg(r)
		i.weight = weightAccess
	default:
		i.rare(r)
	}
	return i
}

func (i *instruction) rare(r *reader) {
	switch i.op {
	case opUnreachable, 0x01, opElse, opEnd, 0x1a: // nop, drop
		i.weight = 0
	case opReturn, 0x1b, 0xd1: // select, ref.is_null
	case opBlock, opLoop:
		r.signed(33)
		i.weight = 0
	case opIf:
		r.signed(33)
	case opBr, opBrIf, opGlobalGet, opGlobalSet, opRefFunc:
		i.index = r.u32()
	case opBrTable:
		for range r.count("targets", 1<<17) {
			r.u32()
		}
		r.u32()
	case opCall, opReturnCall:
		i.index, i.weight = r.u32(), weightCall
	case opCallIndirect, opReturnCallIndirect:
		i.value = int64(r.u32())
		i.index, i.weight = r.u32(), weightIndirect+weightSmall
	case opSelectTyped:
		r.bytes(uint32(r.count("types", 1)))
	case opTableGet, opTableSet:
		i.index, i.weight = r.u32(), weightAccess
	case opMemorySize, opMemoryGrow:
		oneMemory(r)
		if i.op == opMemoryGrow {
			i.weight = weightBulk
		}
	case opI64Const:
		r.signed(64)
	case opF32Const:
		r.bytes(4)
	case opF64Const:
		r.bytes(8)
	case opRefNull:
		r.signed(33)
	case opMisc:
		i.misc(r)
	case opVector:
		i.vector(r)
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		r.fail(fmt.Errorf("it uses WASM exceptions, which functions do not have: build it without them"))
	case 0xfe:
		r.fail(fmt.Errorf("it uses threads, which functions do not have: build it without them"))
	default:
		r.fail(fmt.Errorf("it has an instruction of a proposal that cannot run here (%#x)", i.op))
	}
}

func (i *instruction) misc(r *reader) {
	i.sub = r.u32()
	switch i.sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating truncations
		return
	case miscMemoryInit:
		i.index = r.u32()
		oneMemory(r)
	case miscDataDrop, miscElemDrop:
		i.index = r.u32()
	case miscMemoryCopy:
		oneMemory(r)
		oneMemory(r)
		i.weight = weightCall
		return
	case miscMemoryFill:
		oneMemory(r)
		i.weight = weightCall
		return
	case miscTableInit, 14: // 14: table.copy
		r.u32()
		r.u32()
	case 15, 16, miscTableFill: // table.grow, table.size
		r.u32()
	default:
		r.fail(fmt.Errorf("it has an instruction of a proposal that cannot run here (0xfc %d)", i.sub))
	}
	i.weight = weightBulk
}

func (i *instruction) vector(r *reader) {
	i.sub = r.u32()
	i.weight = 2 * weightOp
	switch s := i.sub; {
	case s <= 11, s == 92, s == 93:
		memarg(r)
		i.weight = weightAccess
	case s == 12, s == 13:
		r.bytes(16)
	case s >= 21 && s <= 34:
		r.bytes(1)
	case s >= 84 && s <= 91:
		memarg(r)
		r.bytes(1)
		i.weight = weightAccess
	case s > 255:
		r.fail(fmt.Errorf("it uses relaxed SIMD, which functions do not have: build it without"))
	}
}

func oneMemory(r *reader) {
	if r.byte() != 0 {
		r.fail(errMemories)
	}
}

func memarg(r *reader) {
	if align := r.u32(); align > 15 {
		r.fail(errMemories)
	}
	r.u32()
}

// restorable tells whether what the instruction changes can be brought back: tables and dropped segments cannot.
func (i *instruction) restorable() bool {
	switch i.op {
	case opTableSet:
		return false
	case opMisc:
		switch i.sub {
		case miscDataDrop, miscTableInit, miscElemDrop, 14, 15, miscTableFill:
			return false
		}
	}
	return true
}
