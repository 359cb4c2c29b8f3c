//go:build linux

package vm

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrNoSnapshot says that the state of a module cannot be kept or brought back: it changes its tables or drops segments.
// Make a new instance instead.
var ErrNoSnapshot = errors.New("its state cannot be kept")

// Snapshot is the state of an instance: its memory and its mutable globals. Instances begin with it and are brought back
// to it. It holds the pages that differ from those of its base, in a file or in memory.
type Snapshot struct {
	header
	base *Snapshot
	path string // of its file; "": it is in memory only
	from int64  // where its pages begin in the file

	mu    sync.Mutex
	fd    int    // -1: it is not open
	view  []byte // its pages, read only
	users int
	done  bool // it was closed
}

// header is what a snapshot's file begins with.
type header struct {
	ID      [16]byte // chance
	Base    [16]byte // of the snapshot below; zeros: none
	Module  string   // digest of the module
	Memory  uint64   // bytes
	Globals []uint64
	Runs    []run
}

// run is some pages in a row that differ from those of the base.
type run struct {
	Page, Count uint32
	At          int32 // page in the file; zeros: they are
}

const zeros = -1

// Size is how many bytes it holds beyond its base.
func (s *Snapshot) Size() int64 { return int64(s.pages()) * osPage }

// Memory is how many bytes of memory an instance has that begins with it.
func (s *Snapshot) Memory() int64 { return int64(s.header.Memory) }

func (s *Snapshot) pages() uint32 {
	n := uint32(0)
	for _, r := range s.Runs {
		if r.At != zeros {
			n += r.Count
		}
	}
	return n
}

// Close frees it, once no instance needs it; snapshots that were taken against it are closed before. The file stays.
func (s *Snapshot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done = true; s.users > 0 {
		return nil
	}
	return s.shut()
}

// Snapshot takes the state of the instance, which is between calls and can be reset to it from then on. base is one that
// most of the state is equal to, nil: the module's own data. It stays open as long as what was taken against it.
func (i *Instance) Snapshot(base *Snapshot) (*Snapshot, error) {
	s := i.module.shared
	if !s.meta.Restorable || i.memory == nil || i.broken {
		return nil, ErrNoSnapshot
	}
	if base == nil {
		base = s.image
	}
	if base.header.Memory > i.memory.size {
		return nil, fmt.Errorf("taking a snapshot: its base has more memory")
	}
	snap := &Snapshot{base: base, fd: -1, header: header{Base: base.ID, Module: s.digest, Memory: i.memory.size}}
	if _, err := rand.Read(snap.ID[:]); err != nil {
		return nil, fmt.Errorf("naming a snapshot: %w", err)
	}
	for _, g := range i.globals {
		snap.Globals = append(snap.Globals, g.Get())
	}
	if err := base.acquire(); err != nil {
		return nil, err
	}
	defer base.release()
	if err := snap.take(i.memory.bytes()); err != nil {
		return nil, err
	}
	if err := snap.acquire(); err != nil {
		_ = snap.Close()
		return nil, err
	}
	i.origin.release()
	i.origin = snap
	return snap, nil
}

// take finds the pages that differ from the base and keeps them in memory.
func (s *Snapshot) take(mem []byte) error {
	var own []byte
	zero := make([]byte, osPage)
	below := s.base.lookup()
	for page := uint32(0); int(page)*osPage < len(mem); page++ {
		now := mem[int(page)*osPage:][:osPage]
		before := below.page(page)
		if before == nil {
			before = zero
		}
		if bytes.Equal(now, before) {
			continue
		}
		at := int32(len(own) / osPage)
		if bytes.Equal(now, zero) {
			at = zeros
		} else {
			own = append(own, now...)
		}
		s.add(page, at)
	}
	return s.write(own)
}

// hold makes pages those of the snapshot.
func (s *Snapshot) hold(pages map[uint32][]byte) error {
	var own []byte
	for _, p := range slices.Sorted(maps.Keys(pages)) {
		s.add(p, int32(len(own)/osPage))
		own = append(own, pages[p]...)
	}
	return s.write(own)
}

// add adds a page behind those there are.
func (s *Snapshot) add(page uint32, at int32) {
	if n := len(s.Runs); n > 0 && s.Runs[n-1].follows(page, at) {
		s.Runs[n-1].Count++
		return
	}
	s.Runs = append(s.Runs, run{Page: page, Count: 1, At: at})
}

// write keeps the snapshot's own pages in memory.
func (s *Snapshot) write(own []byte) error {
	fd, err := unix.MemfdCreate("pandabox-snapshot", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making a snapshot: %w", err)
	}
	s.fd = fd
	if err := writeAll(fd, own); err != nil {
		_ = s.Close()
		return fmt.Errorf("writing a snapshot: %w", err)
	}
	return s.mapView()
}

// follows tells whether a page comes right behind the run, in memory and in the file.
func (r run) follows(page uint32, at int32) bool {
	if r.Page+r.Count != page {
		return false
	}
	if at == zeros || r.At == zeros {
		return at == r.At
	}
	return r.At+int32(r.Count) == at
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// acquire opens the snapshot and those below it, for one more user.
func (s *Snapshot) acquire() error {
	if s.base != nil {
		if err := s.base.acquire(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		if err := s.reopen(); err != nil {
			if s.base != nil {
				s.base.release()
			}
			return err
		}
	}
	s.users++
	return nil
}

// release undoes one acquire. What is in a file is closed when nobody uses it.
func (s *Snapshot) release() {
	s.mu.Lock()
	if s.users--; s.users == 0 && (s.path != "" || s.done) {
		_ = s.shut()
	}
	s.mu.Unlock()
	if s.base != nil {
		s.base.release()
	}
}

func (s *Snapshot) reopen() error {
	if s.path == "" {
		return fmt.Errorf("opening a snapshot: it is closed")
	}
	fd, err := unix.Open(s.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "opening a snapshot", Path: s.path, Err: err}
	}
	s.fd = fd
	return s.mapView()
}

func (s *Snapshot) mapView() error {
	n := s.pages()
	if n == 0 {
		return nil
	}
	view, err := unix.Mmap(s.fd, s.from, int(n)*osPage, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = s.shut()
		return fmt.Errorf("mapping a snapshot: %w", err)
	}
	s.view = view
	return nil
}

func (s *Snapshot) shut() error {
	if s.view != nil {
		_ = unix.Munmap(s.view)
		s.view = nil
	}
	if s.fd < 0 {
		return nil
	}
	fd := s.fd
	s.fd = -1
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("closing a snapshot: %w", err)
	}
	return nil
}

// shortRun is how many pages are read in place of being mapped: a mapping costs about as much as reading so many.
const shortRun = 8

// apply maps the snapshot, which is acquired, over memory that is all zeros.
func (s *Snapshot) apply(m *memory) error {
	if s.base != nil {
		if err := s.base.apply(m); err != nil {
			return err
		}
	}
	for _, r := range s.Runs {
		at, length := uint64(r.Page)*osPage, uint64(r.Count)*osPage
		var err error
		switch {
		case r.At == zeros:
			err = m.clear(at, at+length)
		case r.Count <= shortRun:
			copy(m.all[at:at+length], s.view[int(r.At)*osPage:])
		default:
			err = m.mapAt(at, length, s.fd, s.from+int64(r.At)*osPage, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lookup finds pages in rising order.
func (s *Snapshot) lookup() *lookup {
	l := &lookup{s: s}
	if s.base != nil {
		l.below = s.base.lookup()
	}
	return l
}

type lookup struct {
	s     *Snapshot
	next  int
	below *lookup
}

// page returns the content of a page, nil for zeros. Pages are asked for in rising order.
func (l *lookup) page(p uint32) []byte {
	runs := l.s.Runs
	for l.next < len(runs) && runs[l.next].Page+runs[l.next].Count <= p {
		l.next++
	}
	if l.next < len(runs) && runs[l.next].Page <= p {
		r := runs[l.next]
		if r.At == zeros {
			return nil
		}
		return l.s.view[(int(r.At)+int(p-r.Page))*osPage:][:osPage]
	}
	if l.below == nil {
		return nil
	}
	return l.below.page(p)
}
