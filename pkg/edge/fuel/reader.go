package fuel

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	errEnds     = errors.New("it ends in the middle")
	errLEB      = errors.New("a number in it is too long")
	errMemories = errors.New("it has more than one memory")
)

// reader reads a part of a module. After the first error it returns zeros and is at its end; err is looked at now and then.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) more() bool { return r.err == nil && r.at < len(r.b) }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.at = len(r.b)
}

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail(errEnds)
		return 0
	}
	b := r.b[r.at]
	r.at++
	return b
}

// bytes returns the next n bytes without copying them.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail(errEnds)
		return nil
	}
	b := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u32() uint32 {
	if r.at < len(r.b) && r.b[r.at] < 0x80 {
		r.at++
		return uint32(r.b[r.at-1])
	}
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 0xffffffff {
				break
			}
			return uint32(v)
		}
	}
	r.fail(errLEB)
	return 0
}

// signed reads a signed number of at most bits bits.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; shift < (bits+6)/7*7; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail(errLEB)
	return 0
}

func (r *reader) name() string { return string(r.bytes(r.u32())) }

// count reads how many things follow, at most limit. Each takes a byte at least.
func (r *reader) count(what string, limit int) int {
	n := r.u32()
	switch {
	case uint64(n) > uint64(limit):
		r.fail(fmt.Errorf("it has %d %s, and at most %d can be", n, what, limit))
		return 0
	case uint64(n) > uint64(len(r.b)-r.at):
		r.fail(errEnds)
		return 0
	}
	return int(n)
}

func putU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

func putName(b []byte, s string) []byte { return append(putU32(b, uint32(len(s))), s...) }

func putI32(b []byte, v int32) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// putPadded writes a number of 0 to 2^27 as a signed LEB of always 4 bytes, to be patched later.
func putPadded(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v)|0x80, byte(v>>7)|0x80, byte(v>>14)|0x80, byte(v>>21)&0x3f
}
