package egress

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// fresh is how long the list of the box's addresses is believed.
const fresh = 10 * time.Second

// Box knows the addresses of this box's network cards. The zero value is usable from any goroutine.
type Box struct {
	mu    sync.Mutex
	known map[netip.Addr]struct{}
	at    time.Time
}

// Has tells whether a is an address of this box. Where the list cannot be read, the last one counts.
func (b *Box) Has(a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil || time.Since(b.at) > fresh {
		if found, err := net.InterfaceAddrs(); err == nil {
			b.known = make(map[netip.Addr]struct{}, len(found))
			for _, f := range found {
				if p, err := netip.ParsePrefix(f.String()); err == nil {
					b.known[p.Addr().Unmap().WithZone("")] = struct{}{}
				}
			}
			b.at = time.Now()
		}
	}
	_, has := b.known[a.Unmap().WithZone("")]
	return has
}
