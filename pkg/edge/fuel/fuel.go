// Package fuel rewrites WASM modules so that they can be ended, and brought back to an earlier state.
//
// A rewritten module counts fuel down at the head of each loop and at the entry of each function that calls others, by a
// cost that follows what comes next, and calls an imported function, tick, when the fuel has run out: tick gives more, or
// ends the guest. Nothing that is not charged is longer than some hundred instructions, and what moves much memory is cut
// into pieces, so that tick is called every few microseconds, or milliseconds at worst. That is what keeps guests from
// holding up Go's garbage collector, since native code of wazero cannot be preempted.
//
// Beyond that, the data that instances begin with is lifted out of the module so that it can be mapped in place of being
// copied, the start function becomes an export, and the mutable globals are exported.
package fuel

import (
	"fmt"

	"github.com/pandabox/pandabox/pkg/model"
)

// Version changes when the same module is rewritten to something else.
const Version = 1

// Quantum is the fuel that a module begins with, and what tick is meant to return.
const Quantum = 40_000

// MaxModule is the size of the largest module, in bytes.
const MaxModule = model.MaxFunctionBundle

// Where rewritten modules import tick from: a function that takes nothing and returns the fuel of the next turn, an i32.
const (
	TickModule = "pandabox"
	TickName   = "tick"
)

// StartExport is the export of a module's start function: it is the host's to call, once.
const StartExport = Reserved + "start"

// Signature is the type of a function; each byte is the type of a value as modules encode it.
type Signature struct{ Params, Results []byte }

// Import is an imported function.
type Import struct {
	Module, Name string
	Signature

	typ uint32
}

// Memory is the linear memory of a module in bytes.
type Memory struct {
	Min int64
	Max int64 // -1: the module sets none
}

// Data is what the memory begins with at an offset.
type Data struct {
	Offset  int64
	Content []byte // of the module that was rewritten
}

// Result is a rewritten module and what it is like.
type Result struct {
	Module  []byte
	Imports []Import             // without tick
	Exports map[string]Signature // functions, without what was added
	Memory  *Memory              // nil: it has none
	Data    []Data               // to be written in this order
	Start   bool                 // it has a start function, now StartExport
	Globals []string             // exports of the mutable globals, without the fuel
	// Lifted tells whether Data is all the data that instances begin with; else the module has it.
	Lifted bool
	// Restorable tells whether memory and Globals are all the state there is.
	Restorable bool
}

// Rewrite rewrites a module. What cannot run is a *model.Error of KindInvalid. Whether the code is valid is left to the
// compiler to tell, which sees what Rewrite made of it.
func Rewrite(wasm []byte) (*Result, error) {
	if len(wasm) > MaxModule {
		return nil, model.Errorf(model.KindTooLarge, "the WASM module has %d MB", len(wasm)>>20).
			WithHint("at most %d MB; build it optimised for size and without debug information", MaxModule>>20)
	}
	result, err := rewrite(wasm)
	if err != nil {
		return nil, model.Invalid("the WASM module cannot run").WithWhy("%s", err).
			WithHint("functions run WASM 2.0 modules for WASI preview 1 or the http-wasm handler ABI")
	}
	return result, nil
}

func rewrite(wasm []byte) (*Result, error) {
	m, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	w := &rewriter{module: m, restorable: true}
	if err := w.weigh(); err != nil {
		return nil, err
	}
	code, err := w.code()
	if err != nil {
		return nil, err
	}
	out, err := w.assemble(code)
	if err != nil {
		return nil, err
	}
	result := &Result{
		Module: out, Imports: m.imports, Exports: map[string]Signature{}, Memory: m.memory, Start: m.start >= 0,
		Globals: w.exported, Restorable: w.restorable, Lifted: w.lifted || m.sections[secData] == nil,
	}
	for _, e := range m.exports {
		if e.kind == kindFunc {
			result.Exports[e.name] = w.signature(e.index)
		}
	}
	if w.lifted {
		for _, s := range m.data {
			if s.offset >= 0 && len(s.content) > 0 {
				result.Data = append(result.Data, Data{Offset: s.offset, Content: s.content})
			}
		}
	}
	return result, nil
}

// rewriter makes the new module. The functions it adds come behind the module's own: first fill, then move.
type rewriter struct {
	*module
	flat       []uint32 // what each own function weighs that is not charged; charged where it is charged at its entry
	lifted     bool     // the data is no longer in the module
	restorable bool
	exported   []string // of mutable globals
	helpers    bool     // fill and move are used
}

const charged = ^uint32(0)

func (w *rewriter) fuelGlobal() uint32 { return uint32(len(w.globals)) }
func (w *rewriter) tickFunc() uint32   { return uint32(len(w.imports)) }
func (w *rewriter) fillFunc() uint32   { return w.functions() + 1 }
func (w *rewriter) moveFunc() uint32   { return w.functions() + 2 }

func (w *rewriter) signature(function uint32) Signature {
	if own := int(function) - len(w.imports); own >= 0 {
		return w.typeOf(own)
	}
	return w.imports[function].Signature
}

// weigh finds out which functions are charged at their entry: those that call others, and those that weigh much.
func (w *rewriter) weigh() error {
	w.flat = make([]uint32, len(w.bodies))
	whole := uint64(0)
	for own, body := range w.bodies {
		r := &reader{b: body}
		locals, err := w.locals(r, own)
		if err != nil {
			return err
		}
		shape := shape{locals: uint64(locals)}
		flat, loops, depth := uint32(0), []int(nil), 0
		for r.more() {
			i := next(r)
			w.restorable = w.restorable && i.restorable()
			switch i.op {
			case opLoop:
				loops = append(loops, depth)
				depth++
				shape.blocks++
				shape.nested = max(shape.nested, uint64(len(loops)))
			case opBlock, opIf:
				depth++
				shape.blocks++
			case opEnd:
				if depth--; len(loops) > 0 && loops[len(loops)-1] == depth {
					loops = loops[:len(loops)-1]
				}
			case opCall, opCallIndirect, opReturnCall, opReturnCallIndirect:
				flat = weightSmall + 1
			}
			if depth > maxDepth {
				return fmt.Errorf("function %d has more than %d blocks in each other", own, maxDepth)
			}
			if len(loops) == 0 && flat <= weightSmall {
				flat += i.weight
			}
		}
		if r.err != nil {
			return fmt.Errorf("function %d: %w", own, r.err)
		}
		effort := shape.effort()
		if whole += effort; effort > maxEffort || whole > maxWhole {
			return fmt.Errorf("function %d has %d blocks, %d loops in each other and %d locals: compiling it would take too long",
				own, shape.blocks, shape.nested, shape.locals)
		}
		if w.flat[own] = flat; flat > weightSmall {
			w.flat[own] = charged
		}
	}
	return nil
}

// shape is what the time to compile a function follows from.
type shape struct{ locals, blocks, nested uint64 }

// Bounds of effort: of one function, and of all. The most in a module seen was 230,000 in one, the interpreter of QuickJS.
const (
	maxEffort = 8_000_000
	maxWhole  = 60_000_000
)

// effort is about how long compiling takes, in units of a microsecond. wazero takes time by the product of blocks and
// locals, and by the square of how deep loops are in each other: a function of 9 kB with 300 loops in each other and 300
// locals takes it minutes, in which nothing can end it.
func (s shape) effort() uint64 {
	return s.blocks * (s.locals + s.blocks/8) * (64 + s.nested*s.nested) / 64
}

// locals reads the declaration of the locals of a function and returns how many there are, parameters included.
func (w *rewriter) locals(r *reader, own int) (uint32, error) {
	all := uint64(len(w.typeOf(own).Params))
	for range r.count("kinds of locals", maxLocals) {
		all += uint64(r.u32())
		r.byte()
	}
	switch {
	case r.err != nil:
		return 0, fmt.Errorf("function %d: %w", own, r.err)
	case all > maxLocals:
		return 0, fmt.Errorf("function %d has %d locals, and at most %d can be", own, all, maxLocals)
	}
	return uint32(all), nil
}
