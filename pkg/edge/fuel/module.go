package fuel

import (
	"bytes"
	"fmt"
)

// The sections of a module.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

// The kinds of imports and exports.
const (
	kindFunc = iota
	kindTable
	kindMemory
	kindGlobal
)

// module is a module in parts, as far as rewriting needs to know it. Slices point into the input.
type module struct {
	sections [secDataCount + 1][]byte // without id and length; nil: it is not there
	names    []byte                   // the name section

	types   []Signature
	imports []Import
	funcs   []uint32 // the types of its own functions
	globals []globalType
	exports []export
	start   int64 // a function; -1: none
	tables  int
	memory  *Memory
	bodies  [][]byte
	data    []segment
}

type globalType struct {
	valtype byte
	mutable bool
}

type export struct {
	name  string
	kind  byte
	index uint32
}

type segment struct {
	flags   uint32
	offset  int64 // of an active segment at a constant; -1: it is passive, or at something else
	content []byte
	whole   []byte
}

// functions is how many there are with the imported ones, before rewriting.
func (m *module) functions() uint32 { return uint32(len(m.imports) + len(m.funcs)) }

// typeOf returns the type of one of its own functions.
func (m *module) typeOf(own int) Signature { return m.types[m.funcs[own]] }

func parse(wasm []byte) (*module, error) {
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, fmt.Errorf("it does not begin as a WASM module of version 1")
	}
	m := &module{start: -1}
	r := &reader{b: wasm, at: 8}
	for last := 0; r.more(); {
		id := r.byte()
		body := r.bytes(r.u32())
		if r.err != nil {
			break
		}
		if id == secCustom {
			c := &reader{b: body}
			if name := c.name(); c.err == nil && name == "name" {
				m.names = body[c.at:]
			}
			continue
		}
		if int(id) >= len(m.sections) {
			return nil, fmt.Errorf("it has a section of an unknown kind, %d", id)
		}
		if order(id) <= last {
			return nil, fmt.Errorf("section %d is out of order", id)
		}
		last = order(id)
		m.sections[id] = body
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, s := range []struct {
		id    int
		parse func(*reader)
	}{
		{secType, m.parseTypes}, {secImport, m.parseImports}, {secFunction, m.parseFunctions}, {secTable, m.parseTables},
		{secMemory, m.parseMemory}, {secGlobal, m.parseGlobals}, {secExport, m.parseExports}, {secStart, m.parseStart},
		{secCode, m.parseCode}, {secData, m.parseData},
	} {
		if m.sections[s.id] == nil {
			continue
		}
		sr := &reader{b: m.sections[s.id]}
		s.parse(sr)
		if sr.err != nil {
			return nil, fmt.Errorf("section %d: %w", s.id, sr.err)
		}
		if sr.more() {
			return nil, fmt.Errorf("section %d is longer than what is in it", s.id)
		}
	}
	if len(m.bodies) != len(m.funcs) {
		return nil, fmt.Errorf("it declares %d functions and has %d", len(m.funcs), len(m.bodies))
	}
	return m, nil
}

// order is the place of a section: the count of data segments comes before the code.
func order(id byte) int {
	switch id {
	case secDataCount:
		return 2*secCode - 1
	default:
		return 2 * int(id)
	}
}
