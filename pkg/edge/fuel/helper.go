package fuel

// I32 is how modules encode the type of a 32-bit number.
const I32 = 0x7f

// piece is how many bytes are moved or filled before fuel is looked at again.
const piece = 64 << 10

// assembler writes instructions.
type assembler struct{ out []byte }

func (a *assembler) raw(b ...byte)            { a.out = append(a.out, b...) }
func (a *assembler) op(op byte, index uint32) { a.out = putU32(append(a.out, op), index) }
func (a *assembler) number(v int32)           { a.out = putI32(append(a.out, opI32Const), v) }
func (a *assembler) get(local uint32)         { a.op(opLocalGet, local) }
func (a *assembler) step(local uint32, by byte) {
	a.get(local)
	a.number(piece)
	a.raw(by)
	a.op(opLocalSet, local)
}

// pay takes the cost and the fuel under it from the stack, and calls tick when that is more than there is. count is a
// local to work with.
func (a *assembler) pay(w *rewriter, count uint32) {
	a.raw(opI32Sub)
	a.op(opLocalTee, count)
	a.op(opGlobalSet, w.fuelGlobal())
	a.get(count)
	a.number(0)
	a.raw(opI32LtS, opIf, 0x40)
	a.op(opCall, w.tickFunc())
	a.op(opGlobalSet, w.fuelGlobal())
	a.raw(opEnd)
}

// paySize charges for as many bytes as a local says.
func (a *assembler) paySize(w *rewriter, size, count uint32) {
	a.op(opGlobalGet, w.fuelGlobal())
	a.get(size)
	a.number(8) // four units a kilobyte: 4 kB may be a new page
	a.raw(0x76) // i32.shr_u
	a.number(weightCall)
	a.raw(0x6a) // i32.add
	a.pay(w, count)
}

// beyond leaves whether size bytes at a local are more than the memory has.
func (a *assembler) beyond(at, size uint32) {
	a.get(at)
	a.raw(0xad) // i64.extend_i32_u
	a.get(size)
	a.raw(0xad, 0x7c, opMemorySize, 0, 0xad, opI64Const, 16, 0x86, 0x56) // i64: add, shl, gt_u
}

// few leaves whether size is at most a piece.
func (a *assembler) few(size uint32) {
	a.get(size)
	a.number(piece)
	a.raw(0x4d) // i32.le_u
}

const (
	add = 0x6a
	sub = 0x6b
	or  = 0x72
)

// fill is memory.fill(at, value, size) in pieces. One that is out of bounds is done at once: it fails before it writes.
func (w *rewriter) fill() []byte {
	const at, value, size, count = 0, 1, 2, 3
	a := &assembler{out: []byte{1, 1, I32}}
	once := func() { a.get(at); a.get(value); a.get(size); a.raw(opMisc, miscMemoryFill, 0) }
	a.few(size)
	a.beyond(at, size)
	a.raw(or, opIf, 0x40)
	a.paySize(w, size, count)
	once()
	a.raw(0x0f, opEnd) // return
	a.raw(opLoop, 0x40)
	a.payPiece(w, count)
	a.get(at)
	a.get(value)
	a.number(piece)
	a.raw(opMisc, miscMemoryFill, 0)
	a.step(at, add)
	a.step(size, sub)
	a.few(size)
	a.raw(0x45, opBrIf, 0, opEnd) // i32.eqz
	once()
	a.raw(opEnd)
	return a.out
}

// move is memory.copy(to, from, size) in pieces, from the end where the ranges might overlap.
func (w *rewriter) move() []byte {
	const to, from, size, count = 0, 1, 2, 3
	a := &assembler{out: []byte{1, 1, I32}}
	once := func() { a.get(to); a.get(from); a.get(size); a.raw(opMisc, miscMemoryCopy, 0, 0) }
	a.few(size)
	a.beyond(to, size)
	a.raw(or)
	a.beyond(from, size)
	a.raw(or, opIf, 0x40)
	a.paySize(w, size, count)
	once()
	a.raw(0x0f, opEnd)
	a.get(to)
	a.get(from)
	a.raw(0x4d, opIf, 0x40) // i32.le_u
	a.raw(opLoop, 0x40)
	a.payPiece(w, count)
	a.get(to)
	a.get(from)
	a.number(piece)
	a.raw(opMisc, miscMemoryCopy, 0, 0)
	a.step(to, add)
	a.step(from, add)
	a.step(size, sub)
	a.few(size)
	a.raw(0x45, opBrIf, 0, opEnd)
	a.raw(0x05) // else
	a.raw(opLoop, 0x40)
	a.payPiece(w, count)
	a.step(size, sub)
	a.get(to)
	a.get(size)
	a.raw(add)
	a.get(from)
	a.get(size)
	a.raw(add)
	a.number(piece)
	a.raw(opMisc, miscMemoryCopy, 0, 0)
	a.few(size)
	a.raw(0x45, opBrIf, 0, opEnd)
	a.raw(opEnd)
	once()
	a.raw(opEnd)
	return a.out
}

func (a *assembler) payPiece(w *rewriter, count uint32) {
	a.op(opGlobalGet, w.fuelGlobal())
	a.number(piece>>8 + weightCall)
	a.pay(w, count)
}
