// Package wasm reads what a WASM file asks for and offers, and says which runtime of functions it is made for. It
// compiles nothing, so that a wrong file is refused where it is bundled, before anything is uploaded.
package wasm

import (
	"bytes"
	"errors"
	"fmt"
)

// Module is the outside of a core WASM module.
type Module struct {
	Imports []Import
	Exports []Export
}

// Import is one thing a module asks for.
type Import struct {
	Module, Name string
	Kind         Kind
}

// Export is one thing a module offers.
type Export struct {
	Name string
	Kind Kind
	Type string // of a function: "(i32, i32) -> i64"
}

// Kind is the sort of an import or export.
type Kind byte

// The kinds of imports and exports.
const (
	Func Kind = iota
	Table
	Memory
	Global
	Tag
)

func (k Kind) String() string {
	names := []string{"function", "table", "memory", "global", "tag"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("thing of kind %d", byte(k))
}

// Why a file is no core module.
var (
	ErrNotWASM   = errors.New("it does not begin with \\0asm")
	ErrComponent = errors.New("it is a component, not a core module")
)

// Export returns the export of a name and kind.
func (m *Module) Export(name string, kind Kind) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name && e.Kind == kind {
			return e, true
		}
	}
	return Export{}, false
}

// Inspect reads the imports and exports of a core module. The code itself is not looked at.
func Inspect(file []byte) (*Module, error) {
	switch {
	case !bytes.HasPrefix(file, []byte("\x00asm")) || len(file) < 8:
		return nil, ErrNotWASM
	case bytes.Equal(file[4:8], []byte{1, 0, 0, 0}):
	case file[6] == 1 && file[7] == 0: // the layer field: 1 is the component model
		return nil, ErrComponent
	default:
		return nil, fmt.Errorf("it is of version %d of the binary format, which is unknown", file[4])
	}
	p := parser{}
	for r := (reader{b: file[8:]}); len(r.b) > 0; {
		id := r.byte()
		body := reader{b: r.take(r.u32())}
		if r.err != nil {
			return nil, r.err
		}
		if err := p.section(id, &body); err != nil {
			return nil, err
		}
	}
	return &p.m, nil
}

// parser collects what the sections say. Functions are numbered imports first.
type parser struct {
	m     Module
	types []string
	funcs []uint32 // the type of each function
}

func (p *parser) section(id byte, r *reader) error {
	switch id {
	case 1:
		p.readTypes(r)
	case 2:
		p.readImports(r)
	case 3:
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			p.funcs = append(p.funcs, r.u32())
		}
	case 7:
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			e := Export{Name: r.name(), Kind: Kind(r.byte())}
			if i := r.u32(); e.Kind == Func && int(i) < len(p.funcs) && int(p.funcs[i]) < len(p.types) {
				e.Type = p.types[p.funcs[i]]
			}
			p.m.Exports = append(p.m.Exports, e)
		}
	}
	return r.err
}

func (p *parser) readTypes(r *reader) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		if form := r.byte(); form != 0x60 {
			r.fail("a type of form %#x is not of WASM 2.0 as it is run here", form)
			return
		}
		params := r.valueTypes()
		p.types = append(p.types, "("+params+") -> "+orNothing(r.valueTypes()))
	}
}

func (p *parser) readImports(r *reader) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		i := Import{Module: r.name(), Name: r.name(), Kind: Kind(r.byte())}
		switch i.Kind {
		case Func:
			p.funcs = append(p.funcs, r.u32())
		case Table:
			r.byte()
			r.limits()
		case Memory:
			r.limits()
		case Global:
			r.take(2)
		case Tag:
			r.byte()
			r.u32()
		default:
			r.fail("an import is of kind %d, which is unknown", i.Kind)
		}
		p.m.Imports = append(p.m.Imports, i)
	}
}

func orNothing(results string) string {
	if results == "" {
		return "nothing"
	}
	return results
}
