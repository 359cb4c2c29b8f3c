package fuel

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// assemble writes the new module around the rewritten code.
func (w *rewriter) assemble(code [][]byte) ([]byte, error) {
	elements, err := w.elements()
	if err != nil {
		return nil, fmt.Errorf("its elements: %w", err)
	}
	globals, err := w.globalSection()
	if err != nil {
		return nil, fmt.Errorf("its globals: %w", err)
	}
	data, err := w.dataSection()
	if err != nil {
		return nil, err
	}
	size := 0
	for _, b := range code {
		size += len(b) + 5
	}
	out := make([]byte, 0, size+len(data)+len(elements)+64<<10)
	out = append(out, "\x00asm\x01\x00\x00\x00"...)
	section := func(id byte, body []byte) {
		if body != nil {
			out = append(putU32(append(out, id), uint32(len(body))), body...)
		}
	}
	section(secType, w.typeSection())
	section(secImport, w.importSection())
	section(secFunction, w.functionSection())
	section(secTable, w.tableSection())
	section(secMemory, w.sections[secMemory])
	section(secGlobal, globals)
	section(secExport, w.exportSection())
	section(secElement, elements)
	section(secDataCount, w.sections[secDataCount])
	if w.helpers {
		code = append(code, w.fill(), w.move())
	}
	if len(code) > 0 {
		body := putU32(make([]byte, 0, size+5), uint32(len(code)))
		for _, b := range code {
			body = append(putU32(body, uint32(len(b))), b...)
		}
		section(secCode, body)
	}
	section(secData, data)
	if names := w.nameSection(); names != nil {
		section(secCustom, append(putName(nil, "name"), names...))
	}
	return out, nil
}

func (w *rewriter) tickType() uint32   { return uint32(len(w.types)) }
func (w *rewriter) helperType() uint32 { return uint32(len(w.types)) + 1 }

func (w *rewriter) typeSection() []byte {
	b := putU32(nil, uint32(len(w.types))+2)
	for _, t := range w.types {
		b = append(putU32(append(b, 0x60), uint32(len(t.Params))), t.Params...)
		b = append(putU32(b, uint32(len(t.Results))), t.Results...)
	}
	b = append(b, 0x60, 0, 1, I32)
	return append(b, 0x60, 3, I32, I32, I32, 0)
}

func (w *rewriter) importSection() []byte {
	b := putU32(nil, uint32(len(w.imports))+1)
	for _, i := range w.imports {
		b = putU32(append(putName(putName(b, i.Module), i.Name), kindFunc), i.typ)
	}
	return putU32(append(putName(putName(b, TickModule), TickName), kindFunc), w.tickType())
}

func (w *rewriter) functionSection() []byte {
	all := w.funcs
	if w.helpers {
		all = append(all[:len(all):len(all)], w.helperType(), w.helperType())
	}
	b := putU32(nil, uint32(len(all)))
	for _, t := range all {
		b = putU32(b, t)
	}
	return b
}

// tableSection bounds how far tables may grow.
func (w *rewriter) tableSection() []byte {
	if w.sections[secTable] == nil {
		return nil
	}
	r := &reader{b: w.sections[secTable]}
	b := putU32(nil, r.u32())
	for range w.tables {
		b = append(b, r.byte())
		least, most := limits(r, "table")
		bound := max(least, maxElements/maxTables)
		if most >= 0 && most < int64(bound) {
			bound = uint32(most)
		}
		b = putU32(putU32(append(b, 1), least), bound)
	}
	return b
}

func (w *rewriter) globalSection() ([]byte, error) {
	b := putU32(nil, uint32(len(w.globals))+1)
	if section := w.sections[secGlobal]; section != nil {
		r := &reader{b: section}
		for range r.u32() {
			b = append(b, r.bytes(2)...)
			w.expression(r, &b)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	b = putI32(append(b, I32, 1, opI32Const), Quantum)
	return append(b, opEnd), nil
}

// expression copies a constant expression, renumbered.
func (w *rewriter) expression(r *reader, to *[]byte) {
	for r.err == nil {
		op := r.byte()
		if op == opEnd {
			*to = append(*to, opEnd)
			return
		}
		w.constantOp(r, op, to)
	}
}

func (w *rewriter) exportSection() []byte {
	var b []byte
	n := uint32(0)
	add := func(name string, kind byte, index uint32) {
		n++
		b = putU32(append(putName(b, name), kind), index)
	}
	for _, e := range w.exports {
		index := e.index
		if e.kind == kindFunc {
			index = w.shift(index)
		}
		add(e.name, e.kind, index)
	}
	if w.start >= 0 {
		add(StartExport, kindFunc, w.shift(uint32(w.start)))
	}
	for i, g := range w.globals {
		switch {
		case !g.mutable:
		case g.valtype < 0x7c: // a vector or a reference: they cannot be read or set from outside
			w.restorable = false
		default:
			name := fmt.Sprintf("%sglobal %d", Reserved, i)
			w.exported = append(w.exported, name)
			add(name, kindGlobal, uint32(i))
		}
	}
	return append(putU32(nil, n), b...)
}

func (w *rewriter) elements() ([]byte, error) {
	section := w.sections[secElement]
	if section == nil {
		return nil, nil
	}
	r := &reader{b: section}
	n := r.count("element segments", maxSegments)
	b := putU32(make([]byte, 0, len(section)+len(section)/4), uint32(n))
	for range n {
		flags := r.u32()
		if flags > 7 {
			r.fail(fmt.Errorf("they are of an unknown kind"))
			break
		}
		b = putU32(b, flags)
		if flags&3 == 2 { // in a table of their own
			b = putU32(b, r.u32())
		}
		if flags&1 == 0 {
			w.expression(r, &b)
		}
		if flags&3 != 0 {
			b = append(b, r.byte())
		}
		items := r.count("elements", maxElements)
		b = putU32(b, uint32(items))
		for range items {
			if flags&4 != 0 {
				w.expression(r, &b)
				continue
			}
			f := r.u32()
			if f >= w.functions() {
				r.fail(fmt.Errorf("they have a function that is not there"))
				break
			}
			b = putU32(b, w.shift(f))
		}
	}
	if r.err == nil && r.more() {
		return nil, fmt.Errorf("they are longer than they say")
	}
	return b, r.err
}

// dataSection leaves out what instances begin with, if all of it is at constant places.
func (w *rewriter) dataSection() ([]byte, error) {
	if w.sections[secData] == nil || w.memory == nil {
		return w.sections[secData], nil
	}
	for _, s := range w.data {
		if s.flags != 1 && s.offset < 0 {
			return w.sections[secData], nil
		}
		if s.flags != 1 && s.offset+int64(len(s.content)) > w.memory.Min {
			return nil, fmt.Errorf("its data does not fit into the memory it begins with")
		}
	}
	w.lifted = true
	b := putU32(nil, uint32(len(w.data)))
	for _, s := range w.data {
		if s.flags == 1 {
			b = append(b, s.whole...)
		} else {
			b = append(b, 0, opI32Const, 0, opEnd, 0)
		}
	}
	return b, nil
}

// maxNames is how many bytes of names of functions are kept. They are read in traces of failures only, and cost memory as
// long as the module is loaded.
const maxNames = 256 << 10

// nameSection returns the names of the functions, renumbered; nil where there are none, or far too many.
func (w *rewriter) nameSection() []byte {
	r := &reader{b: w.names}
	for r.more() {
		id := r.byte()
		body := r.bytes(r.u32())
		if id != 1 || len(body) > maxNames {
			continue
		}
		names := &reader{b: body}
		n := names.count("names", len(body))
		b := putU32(nil, uint32(n))
		for range n {
			i, name := names.u32(), names.name()
			if !utf8.ValidString(name) || i >= w.functions() {
				return nil
			}
			b = putName(putU32(b, w.shift(i)), name)
		}
		if names.err != nil {
			return nil
		}
		return append(binary.AppendUvarint([]byte{1}, uint64(len(b))), b...)
	}
	return nil
}
