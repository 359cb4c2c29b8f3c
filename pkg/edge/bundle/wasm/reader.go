package wasm

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// reader walks over a file. After the first error it gives zeros, so that callers look at err once.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.fail("it ends too early")
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// u32 reads an unsigned LEB128 of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			if v > 0xffff_ffff {
				break
			}
			return uint32(v)
		}
	}
	r.fail("a number is too big")
	return 0
}

func (r *reader) name() string {
	b := r.take(r.u32())
	if !utf8.Valid(b) {
		r.fail("a name is not UTF-8")
	}
	return string(b)
}

func (r *reader) limits() {
	flags := r.byte()
	if flags&4 != 0 {
		r.fail("it uses a 64-bit memory, which does not run here")
	}
	r.u32()
	if flags&1 != 0 {
		r.u32()
	}
}

// valueTypes reads a vector of types as a person writes them: "i32, i64".
func (r *reader) valueTypes() string {
	names := map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}
	var out []string
	for _, b := range r.take(r.u32()) {
		name, ok := names[b]
		if !ok {
			r.fail("type %#x is not of WASM 2.0 as it is run here", b)
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}
