//go:build linux

package vm

import (
	"time"

	"github.com/tetratelabs/wazero/experimental"
)

// memory is the linear memory of one instance.
type memory struct {
	limit   uint64
	buf     []byte
	refused bool // growth over the limit was
}

var _ experimental.MemoryAllocator = (*memory)(nil)

// Allocate is called once, when the instance is made.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate returns nil over the limit.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	grown := make([]byte, size)
	copy(grown, m.buf)
	m.buf = grown
	return m.buf
}

// Free is called when the instance is closed.
func (m *memory) Free() { m.buf = nil }

func (i *Instance) sleep(ns int64) {
	i.Pause()
	defer i.Resume()
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-i.call.Done():
		i.Fail(i.over())
	}
}
