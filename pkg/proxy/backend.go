package proxy

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// How long a replica that refused a connection is left out: doubled with every failure in a row.
const (
	firstEjection = 500 * time.Millisecond
	maxEjection   = 15 * time.Second
)

// backend is one replica as the proxy sees it. It lives as long as a table or a request holds it.
type backend struct {
	model.Backend
	address  string // Addr as text
	inflight atomic.Int64
	active   atomic.Bool  // has ever carried a request
	retired  atomic.Bool  // no longer in the table: picking it must be taken back
	failures atomic.Int32 // connection failures in a row
	outUntil atomic.Int64 // Unix nanoseconds

	published uint64 // the last table that names it; Proxy.mu

	mu   sync.Mutex
	idle []*upstream
	live map[canceller]struct{} // what is in flight and how to cut it
}

// canceller ends one request at once.
type canceller interface{ cut() }

func newBackend(b model.Backend) *backend {
	return &backend{Backend: b, address: b.Addr.String(), live: map[canceller]struct{}{}}
}

// acquire counts a request in, unless the backend has just been taken out of the table. Publish marks a backend
// retired before Drain looks at its count, and acquire looks at the mark after counting: one of the two always sees
// the other.
func (b *backend) acquire() bool {
	b.inflight.Add(1)
	if !b.active.Load() {
		b.active.Store(true)
	}
	if b.retired.Load() {
		b.inflight.Add(-1)
		return false
	}
	return true
}

func (b *backend) release() { b.inflight.Add(-1) }

// failed notes a connection failure.
func (b *backend) failed(now time.Time) {
	n := b.failures.Add(1)
	pause := maxEjection
	if n < 6 {
		pause = min(maxEjection, firstEjection<<(n-1))
	}
	b.outUntil.Store(now.Add(pause).UnixNano())
}

// worked notes that the backend took a connection.
func (b *backend) worked() {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
		b.outUntil.Store(0)
	}
}

func (b *backend) out(now time.Time) bool {
	until := b.outUntil.Load()
	return until != 0 && now.UnixNano() < until
}

// track makes c end when the backend's requests are cut; untrack forgets it.
func (b *backend) track(c canceller) {
	b.mu.Lock()
	b.live[c] = struct{}{}
	b.mu.Unlock()
}

func (b *backend) untrack(c canceller) {
	b.mu.Lock()
	delete(b.live, c)
	b.mu.Unlock()
}

// cutAll ends every request in flight.
func (b *backend) cutAll() {
	b.mu.Lock()
	live := make([]canceller, 0, len(b.live))
	for c := range b.live {
		live = append(live, c)
	}
	b.mu.Unlock()
	for _, c := range live {
		c.cut()
	}
}

// pick returns an acquired backend of r that is not in tried, the less busy of two chosen at random, or nil. Ejected
// backends are chosen only when there is nothing else. gone tells that r is out of date: the table has to be asked
// again.
func (r *route) pick(tried []*backend) (b *backend, gone bool) {
	n := len(r.backends)
	if n == 1 && len(tried) == 0 { // the common case
		if r.backends[0].acquire() {
			return r.backends[0], false
		}
		return nil, true
	}
	now := time.Now()
	for _, ejected := range []bool{false, true} {
		var best *backend
		start, seen := rand.IntN(max(n, 1)), 0
		for i := range n {
			c := r.backends[(start+i)%n]
			if c.out(now) != ejected || contains(tried, c) {
				continue
			}
			if best == nil || c.inflight.Load() < best.inflight.Load() {
				best = c
			}
			if seen++; seen == 2 {
				break
			}
		}
		if best != nil {
			if best.acquire() {
				return best, false
			}
			return nil, true
		}
	}
	return nil, false
}

func contains(bs []*backend, b *backend) bool {
	for _, x := range bs {
		if x == b {
			return true
		}
	}
	return false
}
