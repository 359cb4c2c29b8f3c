package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Where the published module calls the host: one function, through which every host function goes. Its own form copies
// each argument into a box on the heap and finds the function by its name, about ten allocations for a call with three
// arguments.
const (
	imports    = 12   // functions the module imports
	trampoline = 1607 // JSValue f(ctx, this, argc, argv, magic, data)
	undefined  = 3 << 32
)

// Lean returns the module with a shorter way to the host: env.host_call gets (magic, result, this, argc, argv), where
// magic is the number the function was made with, result points to the JSValue to return (undefined to begin with; the
// guest takes it over), this to a JSValue and argv to argc of them, all borrowed. What host_call returns is ignored.
func Lean(wasm []byte) ([]byte, error) {
	body := []byte{
		1, 1, 0x7f, // one local, 6: i32
		0x23, 0, 0x41, 16, 0x6b, 0x22, 6, 0x24, 0, // 6 = stack pointer -= 16
		0x20, 6, 0x20, 1, 0x37, 3, 8, // 8[6] = this
		0x20, 6, 0x42,
	}
	body = sleb(body, undefined)
	body = append(body,
		0x37, 3, 0, // 0[6] = undefined
		0x20, 4, 0x20, 6, 0x20, 6, 0x41, 8, 0x6a, 0x20, 2, 0x20, 3, 0x10, 5, 0x1a, // host_call(magic, 6, 6+8, argc, argv)
		0x20, 6, 0x29, 3, 0, // return 0[6]
		0x20, 6, 0x41, 16, 0x6a, 0x24, 0, // stack pointer += 16
		0x0b,
	)
	out := bytes.Clone(wasm[:8])
	for rest := wasm[8:]; len(rest) > 0; {
		id := rest[0]
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || uint64(len(rest)-1-n) < size {
			return nil, errors.New("the JavaScript engine is cut short")
		}
		content := rest[1+n : 1+n+int(size)]
		rest = rest[1+n+int(size):]
		if id == 10 {
			var err error
			if content, err = replace(content, trampoline-imports, body); err != nil {
				return nil, err
			}
		}
		out = append(binary.AppendUvarint(append(out, id), uint64(len(content))), content...)
	}
	return out, nil
}

// replace puts body in the place of function i of a code section.
func replace(code []byte, i int, body []byte) ([]byte, error) {
	count, at := binary.Uvarint(code)
	if uint64(i) >= count {
		return nil, fmt.Errorf("the JavaScript engine has %d functions", count)
	}
	for range i {
		size, n := binary.Uvarint(code[at:])
		at += n + int(size)
	}
	size, n := binary.Uvarint(code[at:])
	out := bytes.Clone(code[:at])
	out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
	return append(out, code[at+n+int(size):]...), nil
}

func sleb(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
