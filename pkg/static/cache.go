package static

import (
	"fmt"
	"os"
	"slices"
	"sync"
)

// Small files are answered from memory: up to maxCached bytes each, cacheBudget in all.
const (
	maxCached   = 128 << 10
	cacheBudget = 16 << 20
)

// cache holds the bodies of pages asked for lately. A page points to its bodies itself, so that one that is there costs
// no look-up and no lock.
type cache struct {
	mu    sync.Mutex
	order []*body // those in memory, the one to be looked at next first
	bytes int64
}

// get returns a form of a page.
func (c *cache) get(p *page, form string, from blobs) (*body, error) {
	at := &p.forms[place(form)]
	if b := at.Load(); b != nil {
		if !b.used.Load() {
			b.used.Store(true)
		}
		return b, nil
	}
	path := from.path(p.file.Hash, form)
	size := p.file.Size
	if form != "" {
		st, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		size = st.Size()
	}
	b := p.newBody(form, path, size)
	if size <= maxCached {
		var err error
		if b.bytes, err = os.ReadFile(path); err != nil {
			return nil, err
		}
		if int64(len(b.bytes)) != size {
			return nil, fmt.Errorf("%s has %d bytes in place of %d", path, len(b.bytes), size)
		}
		b.bytes = slices.Clip(b.bytes)
	}
	if !at.CompareAndSwap(nil, b) {
		return b, nil // somebody else was faster
	}
	if size <= maxCached {
		c.keep(b)
	}
	return b, nil
}

// keep counts a body in, and lets go of what nobody asked for since it was last looked at.
func (c *cache) keep(b *body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order = append(c.order, b)
	c.bytes += b.size
	for c.bytes > cacheBudget && len(c.order) > 1 {
		next := c.order[0]
		c.order = c.order[1:]
		if next.used.Swap(false) {
			c.order = append(c.order, next)
			continue
		}
		next.page.forms[next.at].CompareAndSwap(next, nil)
		c.bytes -= next.size
	}
}
