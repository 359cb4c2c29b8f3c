package fuel

import "fmt"

const (
	// stretch is what may run between two charges, in units: longer code gets a charge in its middle.
	stretch = 8_000
	// smallBulk is how many bytes are moved or filled in place, where the module says how many they are.
	smallBulk = 4096
)

// code returns the bodies of the module's own functions with fuel counted.
func (w *rewriter) code() ([][]byte, error) {
	out := make([][]byte, 0, len(w.bodies)+2)
	for own := range w.bodies {
		e := &emitter{rewriter: w, own: own}
		if err := e.function(); err != nil {
			return nil, fmt.Errorf("function %d: %w", own, err)
		}
		out = append(out, e.out)
	}
	return out, nil
}

// emitter writes one function.
type emitter struct {
	*rewriter
	own   int
	r     *reader
	out   []byte
	count uint32 // the local that holds the fuel while it is looked at; also the number of the function's own locals
	depth int
	open  []open // charges whose weight is not known yet, those of outer loops first
}

// open is a charge with the weight of what was seen of its code so far.
type open struct {
	at     int // where its weight is in out; -1: nothing is charged
	depth  int // of the loop's block
	weight uint32
}

func (e *emitter) function() error {
	body := e.bodies[e.own]
	e.r = &reader{b: body}
	locals, err := e.rewriter.locals(e.r, e.own)
	if err != nil {
		return err
	}
	e.count = locals
	e.out = make([]byte, 0, len(body)+len(body)/4+32)
	e.declare(body[:e.r.at])
	if e.flat[e.own] == charged {
		e.charge(-1)
		e.open[0].weight += locals / 8 // what the frame takes from the stack
	} else {
		e.open = append(e.open, open{at: -1, depth: -1})
	}
	var before instruction
	for e.r.more() {
		i := next(e.r)
		if e.r.err != nil {
			break
		}
		if e.depth < 0 {
			return fmt.Errorf("it goes on after its end")
		}
		if err := e.instruction(i, before); err != nil {
			return err
		}
		before = i
	}
	if e.r.err != nil {
		return e.r.err
	}
	if e.depth != -1 {
		return fmt.Errorf("a block in it has no end")
	}
	e.settle()
	return nil
}

// declare writes the declaration of locals with one more i32.
func (e *emitter) declare(own []byte) {
	r := &reader{b: own}
	groups := r.u32()
	e.out = putU32(e.out, groups+1)
	e.out = append(e.out, own[r.at:]...)
	e.out = append(e.out, 1, I32)
}

func (e *emitter) instruction(i, before instruction) error {
	now := &e.open[len(e.open)-1]
	if now.weight > stretch && now.at >= 0 {
		depth := now.depth
		e.settle()
		e.charge(depth)
		now = &e.open[len(e.open)-1]
	}
	now.weight += i.weight
	switch i.op {
	case opLoop:
		e.copy(i)
		e.charge(e.depth)
		e.depth++
		return nil
	case opBlock, opIf:
		e.depth++
	case opEnd:
		if e.depth--; e.depth == now.depth && e.depth >= 0 {
			e.settle()
		}
	case opLocalGet, opLocalSet, opLocalTee:
		if i.index >= e.count {
			return fmt.Errorf("it uses a local that is not there")
		}
	case opGlobalGet, opGlobalSet:
		if int(i.index) >= len(e.globals) {
			return fmt.Errorf("it uses a global that is not there")
		}
	case opCall, opReturnCall, opRefFunc:
		return e.refer(i, now)
	case opMisc:
		return e.bulk(i, before, now)
	}
	e.copy(i)
	return nil
}

// refer writes an instruction that names a function.
func (e *emitter) refer(i instruction, now *open) error {
	if i.index >= e.functions() {
		return fmt.Errorf("it uses a function that is not there")
	}
	if own := int(i.index) - len(e.imports); own >= 0 && i.op != opRefFunc && e.flat[own] != charged {
		now.weight += e.flat[own]
	}
	e.out = putU32(append(e.out, i.op), e.shift(i.index))
	return nil
}

// bulk writes an instruction of the 0xfc kind. What moves or fills memory is done by functions that charge for it and do
// it in pieces, unless it is known to be little.
func (e *emitter) bulk(i, before instruction, now *open) error {
	if i.sub != miscMemoryCopy && i.sub != miscMemoryFill {
		e.copy(i)
		return nil
	}
	now.weight -= i.weight
	if before.op == opI32Const && before.value >= 0 && before.value <= smallBulk {
		now.weight += weightCall
		e.copy(i)
		return nil
	}
	now.weight += weightCall
	helper := e.fillFunc()
	if i.sub == miscMemoryCopy {
		helper = e.moveFunc()
	}
	e.helpers = true
	e.out = putU32(append(e.out, opCall), helper)
	return nil
}

func (e *emitter) copy(i instruction) { e.out = append(e.out, e.r.b[i.from:e.r.at]...) }

// charge opens a charge.
func (e *emitter) charge(depth int) {
	a := assembler{out: e.out}
	a.op(opGlobalGet, e.fuelGlobal())
	at := len(a.out) + 1
	a.raw(opI32Const, 0x80, 0x80, 0x80, 0x00)
	a.pay(e.rewriter, e.count)
	e.out = a.out
	e.open = append(e.open, open{at: at, depth: depth, weight: weightCharge})
}

// settle writes the weight of the last open charge to where it is charged.
func (e *emitter) settle() {
	last := e.open[len(e.open)-1]
	e.open = e.open[:len(e.open)-1]
	if last.at >= 0 {
		putPadded(e.out[last.at:], min(last.weight, 1<<20))
	}
}
