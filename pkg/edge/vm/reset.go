//go:build linux

package vm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxDirty is how many pages are copied back; when more were written to, all of them are dropped and mapped again.
const maxDirty = 512

// Pages that were written to long ago are copied back each time for nothing. So at the first of each 64 resets, an instance
// that has more than 64 pages of its own, and wrote to less than a quarter of them since, gives all of them up.
const (
	lookEvery = 64
	manyIdle  = 64
)

// The flags of a page in /proc/self/pagemap.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61
)

// Reset brings the instance back to the snapshot that it began with or that was last taken of it. Pages that were written
// to once are the instance's own, which the kernel tells: they are copied back, and stay, so that the next call finds them
// in place. ErrNoSnapshot where there is nothing to go back to; after any error the instance can only be closed.
func (i *Instance) Reset(context.Context) error {
	if i.broken || i.memory == nil || i.origin == i.module.shared.image {
		return ErrNoSnapshot
	}
	m, s := i.memory, i.origin
	if err := i.shrink(s.header.Memory); err != nil {
		i.broken = true
		return err
	}
	if err := m.reset(s, i.module.machine.pagemap); err != nil {
		i.broken = true
		return err
	}
	m.refused = false
	for n, g := range i.globals {
		g.Set(s.Globals[n])
	}
	return nil
}

// shrink takes away what memory has grown by. wazero has no way to do that: but what it gets from growing is what it uses.
func (b *body) shrink(size uint64) error {
	if b.memory.size == size {
		return nil
	}
	b.memory.found = nil
	if err := b.memory.clear(size, b.memory.size); err != nil {
		return err
	}
	b.memory.shrunk = size
	if _, ok := b.mem.Grow(1); !ok {
		b.memory.shrunk = 0
		return ErrNoSnapshot // it has all the memory that the module allows itself
	}
	return nil
}

// reset copies back what differs from the snapshot.
func (m *memory) reset(s *Snapshot, pagemap int) error {
	if m.size == 0 {
		return nil
	}
	dirty, err := m.dirty(pagemap)
	if err != nil {
		return err
	}
	if dirty == nil {
		return m.restore(s)
	}
	if m.resets++; m.resets%lookEvery == 1 && len(dirty) > manyIdle && m.changed(dirty, s) < len(dirty)/4 {
		return m.restore(s)
	}
	m.copyBack(dirty, s)
	return nil
}

// changed is how many of the pages differ from the snapshot.
func (m *memory) changed(dirty []uint32, s *Snapshot) int {
	n := 0
	pages := s.lookup()
	for _, p := range dirty {
		before := pages.page(p)
		if before == nil {
			before = m.zero()
		}
		if !bytes.Equal(m.all[int(p)*osPage:][:osPage], before) {
			n++
		}
	}
	return n
}

// copyBack makes pages, in rising order, what they are in the snapshot.
func (m *memory) copyBack(dirty []uint32, s *Snapshot) {
	pages := s.lookup()
	for _, p := range dirty {
		now := m.all[int(p)*osPage:][:osPage]
		if before := pages.page(p); before != nil {
			copy(now, before)
		} else {
			clear(now)
		}
	}
}

// restore drops all pages and maps those of the snapshot.
func (m *memory) restore(s *Snapshot) error {
	m.found = nil
	if err := m.clear(0, m.size); err != nil {
		return err
	}
	return s.apply(m)
}

// dirty returns the pages that are the instance's own, nil where they are too many. A page becomes that by a fault: where
// the process had none since the pages were last looked for, they are the same.
func (m *memory) dirty(pagemap int) ([]uint32, error) {
	faults, err := pageFaults()
	if err != nil {
		return nil, err
	}
	if m.found != nil && faults == m.faults {
		return m.found, nil
	}
	m.faults = faults
	if m.found, err = m.search(pagemap); err != nil {
		return nil, err
	}
	return m.found, nil
}

func (m *memory) search(pagemap int) ([]uint32, error) {
	if need := int(m.size / osPage * 8); need > cap(m.entries) {
		m.entries = make([]byte, need)
	}
	entries := m.entries[:m.size/osPage*8]
	at := int64(m.address()) / osPage * 8
	for done := 0; done < len(entries); {
		n, err := unix.Pread(pagemap, entries[done:], at+int64(done))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return nil, fmt.Errorf("looking for pages that were written to: %w", err)
		}
		done += n
	}
	dirty := m.found[:0]
	if dirty == nil {
		dirty = make([]uint32, 0, 64)
	}
	for p := range len(entries) / 8 {
		e := binary.LittleEndian.Uint64(entries[p*8:])
		if e&(pagePresent|pageSwapped) == 0 || e&(pagePresent|pageOfFile) == pagePresent|pageOfFile {
			continue
		}
		if len(dirty) == maxDirty {
			return nil, nil
		}
		dirty = append(dirty, uint32(p))
	}
	return dirty, nil
}

// pageFaults is how many faults the process has had.
func pageFaults() (int64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("counting page faults: %w", err)
	}
	return u.Minflt + u.Majflt, nil
}
