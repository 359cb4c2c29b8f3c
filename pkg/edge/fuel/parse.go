package fuel

import (
	"fmt"
	"strings"
)

// Limits of a module: what is over them would cost the daemon more memory or time to compile than any honest function.
const (
	maxTypes    = 5_000
	maxValues   = 200 // parameters and results of one type
	maxImports  = 1_000
	maxFuncs    = 100_000
	maxTables   = 16
	maxElements = 1_000_000 // of all tables, in the end
	maxGlobals  = 10_000
	maxExports  = 20_000
	maxSegments = 100_000
	maxBody     = 2 << 20 // bytes of a function
	maxLocals   = 20_000
	maxDepth    = 50_000 // of blocks in blocks
)

// Reserved begins the names of exports that rewriting adds.
const Reserved = "pandabox:"

func (m *module) parseTypes(r *reader) {
	n := r.count("types", maxTypes)
	m.types = make([]Signature, 0, n)
	for range n {
		if form := r.byte(); form != 0x60 {
			r.fail(fmt.Errorf("it has a type of a proposal that cannot run here (%#x)", form))
			return
		}
		params := r.bytes(uint32(r.count("parameters", maxValues)))
		results := r.bytes(uint32(r.count("results", maxValues)))
		m.types = append(m.types, Signature{Params: params, Results: results})
	}
}

func (m *module) parseImports(r *reader) {
	for range r.count("imports", maxImports) {
		mod, name := r.name(), r.name()
		kind := r.byte()
		if kind != kindFunc {
			what := map[byte]string{kindTable: "table", kindMemory: "memory", kindGlobal: "global"}[kind]
			if what == "" {
				what = "tag"
			}
			r.fail(fmt.Errorf("it imports the %s %s.%s, and only functions can be imported", what, mod, name))
			return
		}
		typ := r.u32()
		if r.err == nil && int(typ) >= len(m.types) {
			r.fail(fmt.Errorf("the type of %s.%s is not there", mod, name))
		}
		if r.err != nil {
			return
		}
		m.imports = append(m.imports, Import{Module: mod, Name: name, Signature: m.types[typ], typ: typ})
	}
}

func (m *module) parseFunctions(r *reader) {
	n := r.count("functions", maxFuncs)
	m.funcs = make([]uint32, n)
	for i := range m.funcs {
		if m.funcs[i] = r.u32(); r.err == nil && int(m.funcs[i]) >= len(m.types) {
			r.fail(fmt.Errorf("the type of function %d is not there", i))
			return
		}
	}
}

// limits reads the bounds of a table or a memory; max is -1 where there is none.
func limits(r *reader, what string) (least uint32, most int64) {
	flags := r.byte()
	switch {
	case flags&2 != 0:
		r.fail(fmt.Errorf("its %s is shared between threads, which functions do not have", what))
	case flags&4 != 0:
		r.fail(fmt.Errorf("its %s has 64-bit addresses, which functions do not have", what))
	case flags > 1:
		r.fail(fmt.Errorf("its %s has unknown bounds", what))
	}
	least, most = r.u32(), -1
	if flags&1 != 0 {
		most = int64(r.u32())
	}
	return least, most
}

func (m *module) parseTables(r *reader) {
	m.tables = r.count("tables", maxTables)
	all := uint64(0)
	for range m.tables {
		if typ := r.byte(); typ != 0x70 && typ != 0x6f {
			r.fail(fmt.Errorf("it has a table of a proposal that cannot run here (%#x)", typ))
			return
		}
		least, _ := limits(r, "table")
		if all += uint64(least); all > maxElements {
			r.fail(fmt.Errorf("its tables have %d elements, and at most %d can be", all, maxElements))
		}
	}
}

func (m *module) parseMemory(r *reader) {
	if n := r.count("memories", 1); n == 1 {
		least, most := limits(r, "memory")
		if least > 1<<16 || most > 1<<16 {
			r.fail(fmt.Errorf("its memory is larger than 4 GB"))
		}
		m.memory = &Memory{Min: int64(least) << 16, Max: most << 16}
		if most < 0 {
			m.memory.Max = -1
		}
	}
}

func (m *module) parseGlobals(r *reader) {
	for range r.count("globals", maxGlobals) {
		g := globalType{valtype: r.byte(), mutable: r.byte() == 1}
		m.constant(r)
		m.globals = append(m.globals, g)
	}
}

func (m *module) parseExports(r *reader) {
	for range r.count("exports", maxExports) {
		e := export{name: r.name(), kind: r.byte(), index: r.u32()}
		switch {
		case r.err != nil:
			return
		case strings.HasPrefix(e.name, Reserved):
			r.fail(fmt.Errorf("it exports %q, a name that is reserved", e.name))
		case e.kind == kindFunc && e.index >= m.functions(), e.kind == kindGlobal && int(e.index) >= len(m.globals):
			r.fail(fmt.Errorf("what it exports as %q is not there", e.name))
		case e.kind > kindGlobal:
			r.fail(fmt.Errorf("it exports %q, of a proposal that cannot run here", e.name))
		}
		m.exports = append(m.exports, e)
	}
}

func (m *module) parseStart(r *reader) {
	if m.start = int64(r.u32()); m.start >= int64(m.functions()) {
		r.fail(fmt.Errorf("its start function is not there"))
	}
}

func (m *module) parseCode(r *reader) {
	n := r.count("functions", maxFuncs)
	m.bodies = make([][]byte, 0, n)
	for i := range n {
		size := r.u32()
		if size > maxBody {
			r.fail(fmt.Errorf("function %d has %d bytes, and at most %d can be", i, size, maxBody))
			return
		}
		m.bodies = append(m.bodies, r.bytes(size))
	}
}

func (m *module) parseData(r *reader) {
	for range r.count("data segments", maxSegments) {
		from := r.at
		s := segment{flags: r.u32(), offset: -1}
		switch s.flags {
		case 0:
			s.offset = m.constant(r)
		case 1:
		case 2:
			if r.u32() != 0 {
				r.fail(fmt.Errorf("it has data for a second memory"))
			}
			s.offset = m.constant(r)
		default:
			r.fail(fmt.Errorf("it has data of an unknown kind"))
		}
		s.content = r.bytes(r.u32())
		if r.err != nil {
			return
		}
		s.whole = r.b[from:r.at]
		m.data = append(m.data, s)
	}
}

// constant reads a constant expression and returns its value where it is one i32.const, as unsigned, else -1.
func (m *module) constant(r *reader) int64 {
	value, steps := int64(-1), 0
	for r.err == nil {
		op := r.byte()
		if op == opEnd {
			break
		}
		if steps++; op == opI32Const && steps == 1 {
			value = int64(uint32(r.signed(32)))
			continue
		}
		value = -1
		m.constantOp(r, op, nil)
	}
	if steps != 1 {
		value = -1
	}
	return value
}

// constantOp reads what follows an instruction of a constant expression. Where to is not nil it gets the instruction,
// renumbered.
func (m *module) constantOp(r *reader, op byte, to *[]byte) {
	from := r.at - 1
	switch op {
	case opI32Const:
		r.signed(32)
	case opI64Const:
		r.signed(64)
	case opF32Const:
		r.bytes(4)
	case opF64Const:
		r.bytes(8)
	case opGlobalGet:
		if i := r.u32(); int(i) >= len(m.globals) && r.err == nil {
			r.fail(fmt.Errorf("a constant is made of a global that is not there"))
		}
	case opRefNull:
		r.signed(33)
	case opRefFunc:
		i := r.u32()
		if i >= m.functions() {
			r.fail(fmt.Errorf("it refers to a function that is not there"))
		}
		if to != nil && r.err == nil {
			*to = putU32(append(*to, op), m.shift(i))
		}
		return
	case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // i32 and i64: add, sub, mul
	case opVector:
		if r.u32() != 12 {
			r.fail(fmt.Errorf("a constant is no constant"))
		}
		r.bytes(16)
	default:
		r.fail(fmt.Errorf("a constant has an instruction that cannot be in one (%#x)", op))
	}
	if to != nil && r.err == nil {
		*to = append(*to, r.b[from:r.at]...)
	}
}

// shift renumbers a function: tick comes behind the imports.
func (m *module) shift(i uint32) uint32 {
	if int(i) >= len(m.imports) {
		return i + 1
	}
	return i
}
