//go:build linux

package vm

import (
	"fmt"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

const (
	osPage   = 4096
	wasmPage = 64 << 10
)

// memory is the linear memory of one instance: a range of addresses as long as it may ever get, of which the beginning is
// there. Untouched pages cost nothing, and pages of a snapshot are shared until they are written to.
type memory struct {
	all     []byte // the whole range; nil: it is closed, or the module has no memory
	size    uint64 // bytes the guest has
	open    uint64 // bytes that are mapped, more than size after it has shrunk
	shrunk  uint64 // what the next Reallocate returns, whatever it is asked for; 0: nothing
	refused bool   // growth over the limit was

	entries []byte   // of the page map
	found   []uint32 // pages that were written to; nil: they are not known
	faults  int64    // of the process when found was looked for
	zeros   []byte   // a page
	resets  int
}

var (
	_ experimental.MemoryAllocator = (*memory)(nil)
	_ experimental.LinearMemory    = (*memory)(nil)
)

// reserve makes memory that may grow to limit bytes and begins with size.
func reserve(limit, size int64) (*memory, error) {
	all, err := unix.Mmap(-1, 0, int(limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserving %d MB of addresses: %w", limit>>20, err)
	}
	m := &memory{all: all}
	smallPages(all)
	if m.Reallocate(uint64(size)) == nil && size > 0 {
		m.close()
		return nil, fmt.Errorf("making %d MB of memory", size>>20)
	}
	m.refused = false
	return m, nil
}

// Allocate is called once, when the instance is made.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate makes the memory larger. It returns nil over the limit. When the instance is made it is asked for the least
// that the module wants, and returns what a snapshot has.
func (m *memory) Reallocate(size uint64) []byte {
	if m.shrunk > 0 {
		m.size, m.shrunk = m.shrunk, 0
		return m.all[:m.size]
	}
	size = max(size, m.size)
	if size > uint64(len(m.all)) {
		m.refused = true
		return nil
	}
	if size > m.open {
		if err := unix.Mprotect(m.all[m.open:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			m.refused = true
			return nil
		}
		m.open = size
	}
	m.size = size
	return m.all[:size]
}

// Free is called when the guest exits, while the host may still look at its memory; close unmaps it.
func (m *memory) Free() {}

func (m *memory) close() {
	if m.all != nil {
		_ = unix.Munmap(m.all)
		m.all = nil
	}
}

// limit is how many bytes it may have.
func (m *memory) limit() int64 { return int64(len(m.all)) }

// bytes is what the guest has.
func (m *memory) bytes() []byte { return m.all[:m.size] }

func (m *memory) zero() []byte {
	if m.zeros == nil {
		m.zeros = make([]byte, osPage)
	}
	return m.zeros
}

func (m *memory) address() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(m.all))) }

// clear makes the range zeros again and frees what it holds.
func (m *memory) clear(from, to uint64) error {
	err := m.mapAt(from, to-from, -1, 0, unix.MAP_ANON|unix.MAP_NORESERVE)
	smallPages(m.all[from:to])
	return err
}

// smallPages keeps the kernel from using pages of 2 MB, as Debian's does unless told: an idle instance would have some of
// them, and one byte written would be 512 pages to copy back. A kernel without large pages refuses it, which is as good.
func smallPages(b []byte) {
	if len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
	}
}

// mapAt maps a file, or zeros, over a part.
func (m *memory) mapAt(at, length uint64, fd int, offset int64, flags int) error {
	if length == 0 {
		return nil
	}
	_, err := unix.MmapPtr(fd, offset, unsafe.Pointer(&m.all[at]), uintptr(length),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|flags)
	if err != nil {
		return fmt.Errorf("mapping memory: %w", err)
	}
	return nil
}
