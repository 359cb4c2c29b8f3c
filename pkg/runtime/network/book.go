package network

import (
	"net/netip"
	"strings"
	"sync"
)

// book knows who has which address and which name. Name servers read it while containers come and go.
type book struct {
	mu          sync.RWMutex
	byContainer map[string]*entry
	byName      map[nameKey][]*entry // in the order of arrival
	byAddr      map[netip.Addr]*entry
}

type entry struct {
	Attachment
	healthy bool
}

type nameKey struct{ env, name string }

func newBook() *book {
	return &book{byContainer: map[string]*entry{}, byName: map[nameKey][]*entry{}, byAddr: map[netip.Addr]*entry{}}
}

// put records an attachment in place of an earlier one of the same container. It begins as not healthy.
func (b *book) put(a Attachment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(a.Container)
	e := &entry{Attachment: a}
	b.byContainer[a.Container] = e
	b.byAddr[a.Addr] = e
	for _, alias := range a.Aliases {
		k := nameKey{a.EnvID, strings.ToLower(alias)}
		b.byName[k] = append(b.byName[k], e)
	}
}

func (b *book) remove(container string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(container)
}

func (b *book) drop(container string) {
	e, ok := b.byContainer[container]
	if !ok {
		return
	}
	delete(b.byContainer, container)
	delete(b.byAddr, e.Addr)
	for _, alias := range e.Aliases {
		k := nameKey{e.EnvID, strings.ToLower(alias)}
		var rest []*entry
		for _, o := range b.byName[k] {
			if o != e {
				rest = append(rest, o)
			}
		}
		if len(rest) == 0 {
			delete(b.byName, k)
		} else {
			b.byName[k] = rest
		}
	}
}

func (b *book) get(container string) (Attachment, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e, ok := b.byContainer[container]
	if !ok {
		return Attachment{}, false
	}
	return e.Attachment, true
}

func (b *book) setHealthy(container string, healthy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.byContainer[container]; ok {
		e.healthy = healthy
	}
}

// resolve returns the healthy addresses behind a name, or all of them where none is healthy. known is false for a name
// nobody has.
func (b *book) resolve(env, name string) (addrs []netip.Addr, known bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	entries := b.byName[nameKey{env, strings.ToLower(name)}]
	for _, e := range entries {
		if e.healthy {
			addrs = append(addrs, e.Addr)
		}
	}
	if len(addrs) == 0 {
		for _, e := range entries {
			addrs = append(addrs, e.Addr)
		}
	}
	return addrs, len(entries) > 0
}

// nameOf returns the first name of an address of the environment, "" for none.
func (b *book) nameOf(env string, addr netip.Addr) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e, ok := b.byAddr[addr]; ok && e.EnvID == env && len(e.Aliases) > 0 {
		return strings.ToLower(e.Aliases[0])
	}
	return ""
}

// envOf returns the environment of the container with an address, "" for none.
func (b *book) envOf(addr netip.Addr) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e, ok := b.byAddr[addr]; ok {
		return e.EnvID
	}
	return ""
}

func (b *book) hasAddr(addr netip.Addr) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.byAddr[addr]
	return ok
}

// all returns every attachment, in no order.
func (b *book) all() []Attachment {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Attachment, 0, len(b.byContainer))
	for _, e := range b.byContainer {
		out = append(out, e.Attachment)
	}
	return out
}
