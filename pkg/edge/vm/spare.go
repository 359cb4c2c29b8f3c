//go:build linux

package vm

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// spare is a body without an instance, in the state of its snapshot. A page of memory that is used for the first time costs 1 to
// 3 µs, copying one 0.1 µs: an instance that gets the pages of an earlier one is there in a tenth of the time.
type spare struct {
	shared *shared
	body   *body
}

// maxSpareStack is how many bytes of native stack are kept with a spare for each function.
const maxSpareStack = 256 << 10

// keepable tells whether another instance could have the body.
func (i *Instance) keepable() bool {
	return i.module.shared.meta.Restorable && i.memory != nil && !i.wasi.own && i.origin != i.module.shared.image
}

// strip makes the body one that another instance can have.
func (i *Instance) strip() error {
	b, s := i.body, i.origin
	if err := b.shrink(s.header.Memory); err != nil {
		return err
	}
	dirty, err := b.memory.dirty(i.module.machine.pagemap)
	if err != nil {
		return err
	}
	if dirty == nil {
		return fmt.Errorf("it has too many pages")
	}
	b.memory.copyBack(dirty, s)
	maps.DeleteFunc(b.stacks, func(_ string, s *stack) bool { return s.busy || s.size() > maxSpareStack })
	b.wasi.lead(nil, Options{})
	return nil
}

// spread is how many pages of the snapshot differ from its base.
func (s *Snapshot) spread() int {
	n := 0
	for _, r := range s.Runs {
		n += int(r.Count)
	}
	return n
}

// own returns the pages that differ from those of its base.
func (s *Snapshot) own() []uint32 {
	pages := make([]uint32, 0, s.spread())
	for _, r := range s.Runs {
		for p := r.Page; p < r.Page+r.Count; p++ {
			pages = append(pages, p)
		}
	}
	return pages
}

// resize makes memory that nobody uses as large as it is said.
func (b *body) resize(size uint64) error {
	if size <= b.memory.size {
		return b.shrink(size)
	}
	if _, ok := b.mem.Grow(uint32((size - b.memory.size) / wasmPage)); !ok {
		return fmt.Errorf("growing memory to %d MB", size>>20)
	}
	return nil
}

// keep keeps a body for later, and drops the one that was kept for longest where there are too many.
func (m *Machine) keep(ctx context.Context, s *shared, b *body) {
	m.mu.Lock()
	m.spares = append(m.spares, spare{s, b})
	var drop []spare
	if s.refs == 0 {
		drop, m.spares = m.spares[len(m.spares)-1:], m.spares[:len(m.spares)-1]
	} else if len(m.spares) > m.config.Spares {
		drop, m.spares = m.spares[:1], m.spares[1:]
	}
	m.mu.Unlock()
	m.dropSpares(ctx, drop)
}

func (m *Machine) dropSpares(ctx context.Context, spares []spare) {
	for _, s := range spares {
		if err := s.body.close(ctx, s.shared); err != nil {
			m.log.Warn("freeing what a function was made of", "error", err)
		}
	}
}

// spare returns a body for an instance with the options, nil where there is none.
func (m *Module) spare(o Options) *body {
	if o.Snapshot == nil || o.Snapshot.base == nil || len(o.Args) > 0 || len(o.Env) > 0 || o.Stdin != nil || o.Snapshot.spread() > maxDirty {
		return nil
	}
	m.machine.mu.Lock()
	defer m.machine.mu.Unlock()
	spares := m.machine.spares
	found := -1
	for n, s := range slices.Backward(spares) {
		if s.shared != m.shared || s.body.memory.limit() != memoryLimit(o) {
			continue
		}
		if s.body.origin == o.Snapshot {
			found = n
			break
		}
		if s.body.origin.base == o.Snapshot.base && found < 0 {
			found = n
		}
	}
	if found < 0 {
		return nil
	}
	b := spares[found].body
	m.machine.spares = slices.Delete(spares, found, found+1)
	return b
}

// wear brings a spare body to the state of the snapshot.
func (i *Instance) wear(o Options) error {
	b, s := i.body, o.Snapshot
	if err := s.acquire(); err != nil {
		return err
	}
	before := b.origin
	b.origin = s
	defer before.release()
	if err := b.resize(s.header.Memory); err != nil {
		return err
	}
	if s != before { // where they do not differ from their base, both have the same
		pages := slices.Concat(before.own(), s.own())
		slices.Sort(pages)
		end, _ := slices.BinarySearch(pages, uint32(b.memory.size/osPage))
		b.memory.copyBack(slices.Compact(pages[:end]), s)
	}
	for n, g := range b.globals {
		g.Set(s.Globals[n])
	}
	b.wasi.lead(i, o)
	return nil
}

// discard frees a body.
func (m *Module) discard(ctx context.Context, b *body) error { return b.close(ctx, m.shared) }

func (b *body) close(ctx context.Context, s *shared) error {
	err := b.mod.Close(ctx)
	s.release(ctx)
	b.free()
	if err != nil {
		return fmt.Errorf("closing a WASM instance: %w", err)
	}
	return nil
}
