package fuel

import "fmt"

const (
	// stretch is how much may run between two charges, in units: longer code gets a charge in its middle.
	stretch = 64
	// entry is how much may be left to pay before a loop. The rest is forgiven, since its head is charged at least once.
	entry = 16
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

// emitter writes one function. It pays for code after it has run, in the middle of long code, and at the heads of loops
// and of the function for what is left at their ends.
type emitter struct {
	*rewriter
	own    int
	r      *reader
	out    []byte
	count  uint32 // the local that holds the fuel while it is looked at; also the number of the function's own locals
	now    path
	labels []label
	loops  int // that are open
}

func (e *emitter) function() error {
	body := e.bodies[e.own]
	e.r = &reader{b: body}
	locals, err := e.rewriter.locals(e.r, e.own)
	if err != nil {
		return err
	}
	e.count = locals
	e.out = make([]byte, 0, len(body)+len(body)/3+32)
	e.declare(body[:e.r.at])
	whole := label{ends: path{dead: true}, paid: -1}
	if e.flat[e.own] == charged {
		whole.paid = e.charge()
		e.now.add(locals / 8) // what the frame takes from the stack
	}
	e.labels = append(e.labels, whole)
	var before instruction
	for e.r.more() {
		i := next(e.r)
		if e.r.err != nil {
			break
		}
		if len(e.labels) == 0 {
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
	if len(e.labels) > 0 {
		return fmt.Errorf("a block in it has no end")
	}
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
	if e.now.high > stretch && !e.now.dead && (e.labels[0].paid >= 0 || e.loops > 0) {
		e.pay()
	}
	e.now.add(i.weight)
	switch i.op {
	case opLoop:
		return e.loop(i)
	case opBlock, opIf:
		e.labels = append(e.labels, label{op: i.op, ends: path{dead: true}, other: e.now, paid: -1})
	case opElse:
		last := &e.labels[len(e.labels)-1]
		last.ends = last.ends.join(e.now)
		e.now, last.op = last.other, opElse
	case opEnd:
		e.end()
	case opBr, opBrIf, opBrTable:
		if err := e.branch(i); err != nil {
			return err
		}
	case opReturn, opUnreachable:
		e.leave()
	case opLocalGet, opLocalSet, opLocalTee:
		if i.index >= e.count {
			return fmt.Errorf("it uses a local that is not there")
		}
	case opGlobalGet, opGlobalSet:
		if int(i.index) >= len(e.globals) {
			return fmt.Errorf("it uses a global that is not there")
		}
	case opCall, opReturnCall, opRefFunc:
		return e.refer(i)
	case opCallIndirect, opReturnCallIndirect:
		if i.value >= int64(len(e.types)) || int(i.index) >= e.tables {
			return fmt.Errorf("it calls by a type or a table that is not there")
		}
		if i.op == opReturnCallIndirect {
			e.leave()
		}
	case opMisc:
		e.bulk(i, before)
		return nil
	}
	e.copy(i)
	return nil
}

// loop opens a loop. What is left to pay is paid before it.
func (e *emitter) loop(i instruction) error {
	if e.now.high > entry && !e.now.dead {
		if e.labels[0].paid < 0 && e.loops == 0 {
			e.now = path{} // what comes before the loops of a function that is not charged, its callers pay
		} else {
			e.pay()
		}
	}
	e.copy(i)
	e.loops++
	dead := e.now.dead
	e.labels = append(e.labels, label{op: opLoop, ends: path{dead: true}, paid: e.charge()})
	e.now = path{dead: dead}
	return nil
}

// end closes a block.
func (e *emitter) end() {
	last := e.labels[len(e.labels)-1]
	e.labels = e.labels[:len(e.labels)-1]
	switch last.op {
	case opLoop:
		e.loops--
		e.settle(last, last.ends.join(e.now))
		return
	case 0:
		e.settle(last, last.ends.join(e.now))
		return
	case opIf: // without an else
		last.ends = last.ends.join(last.other)
	}
	e.now = last.ends.join(e.now)
}

// branch notes where a branch leads.
func (e *emitter) branch(i instruction) error {
	to := func(depth uint32) error {
		if uint64(depth) >= uint64(len(e.labels)) {
			return fmt.Errorf("it branches to nowhere")
		}
		l := &e.labels[len(e.labels)-1-int(depth)]
		l.ends = l.ends.join(e.now)
		return nil
	}
	if i.op != opBrTable {
		if err := to(i.index); err != nil {
			return err
		}
	} else {
		r := &reader{b: e.r.b[i.from+1 : e.r.at]}
		for range uint64(r.u32()) + 1 {
			if err := to(r.u32()); err != nil {
				return err
			}
		}
	}
	if i.op != opBrIf {
		e.now = path{dead: true}
	}
	return nil
}

// leave is where the function is left.
func (e *emitter) leave() {
	e.labels[0].ends = e.labels[0].ends.join(e.now)
	e.now = path{dead: true}
}

// refer writes an instruction that names a function.
func (e *emitter) refer(i instruction) error {
	if i.index >= e.functions() {
		return fmt.Errorf("it uses a function that is not there")
	}
	if own := int(i.index) - len(e.imports); own >= 0 && i.op != opRefFunc && e.flat[own] != charged {
		e.now.add(e.flat[own])
	}
	e.out = putU32(append(e.out, i.op), e.shift(i.index))
	if i.op == opReturnCall {
		e.leave()
	}
	return nil
}

// bulk writes an instruction of the 0xfc kind. What moves or fills memory is done by functions that charge for it and do
// it in pieces, unless it is known to be little.
func (e *emitter) bulk(i, before instruction) {
	if i.sub != miscMemoryCopy && i.sub != miscMemoryFill || before.op == opI32Const && before.value >= 0 && before.value <= smallBulk {
		e.copy(i)
		return
	}
	helper := e.fillFunc()
	if i.sub == miscMemoryCopy {
		helper = e.moveFunc()
	}
	e.helpers = true
	e.out = putU32(append(e.out, opCall), helper)
}

func (e *emitter) copy(i instruction) { e.out = append(e.out, e.r.b[i.from:e.r.at]...) }

// pay charges for what has run.
func (e *emitter) pay() {
	putPadded(e.out[e.charge():], min(e.now.cost(), 1<<20))
	e.now = path{}
}

// settle writes what the head of a block costs.
func (e *emitter) settle(l label, p path) {
	if l.paid >= 0 {
		putPadded(e.out[l.paid:], min(p.cost(), 1<<20))
	}
}

// charge writes a charge and returns where its cost belongs.
func (e *emitter) charge() int {
	a := assembler{out: e.out}
	a.op(opGlobalGet, e.fuelGlobal())
	at := len(a.out) + 1
	a.raw(opI32Const, 0x80, 0x80, 0x80, 0x00)
	a.pay(e.rewriter, e.count)
	e.out = a.out
	return at
}
