package qjs

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var errMemory = errors.New("the JavaScript engine pointed outside its memory")

// String makes a string. Bytes that are no UTF-8 become U+FFFD.
func (r *Realm) String(s string) (Value, error) {
	p, err := r.put(s)
	if err != nil {
		return 0, err
	}
	v, err := r.do(fnNewString, uint64(r.marks.Context), uint64(p), uint64(len(s)))
	if err != nil {
		return 0, err
	}
	return Value(v), r.drop(p)
}

// Text returns v as a string, converting it as JavaScript would (which may run user code). ok is false where that threw:
// the exception is pending.
func (r *Realm) Text(v Value) (s string, ok bool, err error) {
	at := r.marks.Scratch + scratchSize - 64
	p, err := r.do(fnToCString, uint64(r.marks.Context), uint64(at), uint64(v), 0)
	if err != nil || uint32(p) == 0 {
		return "", false, err
	}
	n, _ := r.mem.ReadUint32Le(at)
	b, ok := r.mem.Read(uint32(p), n)
	if !ok {
		return "", false, errMemory
	}
	s = scalar(b)
	_, err = r.do(fnFreeCString, uint64(r.marks.Context), uint64(uint32(p)))
	return s, true, err
}

// scalar makes a Go string of what QuickJS writes: UTF-8 in which a lone surrogate is three bytes.
func scalar(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n == 1 && len(b) >= 3 && b[0] == 0xed && b[1] >= 0xa0 {
			n = 3
		}
		out.WriteRune(c)
		b = b[n:]
	}
	return out.String()
}

// put writes s where the guest can read it: into the scratch buffer, or, where that is too small, into memory of its own
// until drop.
func (r *Realm) put(s string) (uint32, error) {
	if len(s) <= scratchSize-64 {
		if !r.mem.WriteString(r.marks.Scratch, s) {
			return 0, errMemory
		}
		return r.marks.Scratch, nil
	}
	return r.cstring(s)
}

func (r *Realm) drop(p uint32) error {
	if p == r.marks.Scratch {
		return nil
	}
	_, err := r.do(fnFree, uint64(p))
	return err
}

// ErrOutOfMemory is returned where the guest has no room for what the host hands it.
var ErrOutOfMemory = errors.New("the JavaScript engine is out of memory")

// cstring copies s and a zero into memory the caller frees.
func (r *Realm) cstring(s string) (uint32, error) {
	p, err := r.do(fnMalloc, uint64(len(s)+1))
	if err != nil {
		return 0, err
	}
	if uint32(p) == 0 {
		return 0, ErrOutOfMemory
	}
	if !r.mem.WriteString(uint32(p), s) || !r.mem.WriteByte(uint32(p)+uint32(len(s)), 0) {
		return 0, errMemory
	}
	return uint32(p), nil
}
