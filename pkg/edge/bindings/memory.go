//go:build linux

package bindings

import (
	"fmt"

	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// Read returns a view of n bytes of the guest's memory, good until the guest runs again. A guest that points outside of
// its memory is ended. The upper halves of both numbers are whatever the guest left there.
func Read(i *vm.Instance, at, n uint64) []byte {
	if uint32(n) == 0 {
		return nil
	}
	b, ok := i.Memory().Read(uint32(at), uint32(n))
	if !ok {
		i.Fail(fmt.Errorf("the guest named %d bytes at %#x of a memory of %d", uint32(n), uint32(at), i.Size()))
	}
	return b
}

// WriteString writes text to a buffer of the guest where it fits, and returns its length.
func WriteString(i *vm.Instance, at, limit uint64, text string) uint32 {
	if n := uint32(len(text)); n <= uint32(limit) && n > 0 {
		copy(Read(i, at, uint64(n)), text)
	}
	return uint32(len(text))
}

// Write is WriteString for bytes.
func Write(i *vm.Instance, at, limit uint64, b []byte) uint32 {
	if n := uint32(len(b)); n <= uint32(limit) && n > 0 {
		copy(Read(i, at, uint64(n)), b)
	}
	return uint32(len(b))
}

// WriteList writes strings with a NUL behind each where all of them fit, and returns count<<32 | length.
func WriteList(i *vm.Instance, at, limit uint64, list []string) uint64 {
	n := 0
	for _, s := range list {
		n += len(s) + 1
	}
	if n > 0 && uint64(n) <= uint64(uint32(limit)) {
		to := Read(i, at, uint64(n))
		for _, s := range list {
			to = to[copy(to, s):]
			to[0] = 0
			to = to[1:]
		}
	}
	return uint64(len(list))<<32 | uint64(uint32(n))
}
