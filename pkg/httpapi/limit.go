package httpapi

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many attempts one remote address has.
const (
	claimEvery  = 10 * time.Second
	claimBurst  = 10
	deniedEvery = time.Second
	deniedBurst = 30

	maxLimited = 10_000 // addresses remembered by one limiter; the least recently seen is forgotten
)

// limiter counts attempts by remote address, in bounded memory.
type limiter struct {
	every time.Duration
	burst int

	mu    sync.Mutex
	by    map[netip.Addr]*list.Element
	order *list.List // of bucket, the most recently seen first
}

type bucket struct {
	addr netip.Addr
	rate *rate.Limiter
}

func newLimiter(every time.Duration, burst int) *limiter {
	return &limiter{every: every, burst: burst, by: map[netip.Addr]*list.Element{}, order: list.New()}
}

// take uses up one attempt and tells whether there was one.
func (l *limiter) take(r *http.Request) bool { return l.of(r).Allow() }

// spent tells whether no attempt is left.
func (l *limiter) spent(r *http.Request) bool { return l.of(r).Tokens() < 1 }

func (l *limiter) of(r *http.Request) *rate.Limiter {
	addr := remote(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.by[addr]; ok {
		if b, ok := e.Value.(bucket); ok {
			l.order.MoveToFront(e)
			return b.rate
		}
	}
	if l.order.Len() >= maxLimited {
		if b, ok := l.order.Remove(l.order.Back()).(bucket); ok {
			delete(l.by, b.addr)
		}
	}
	b := bucket{addr: addr, rate: rate.NewLimiter(rate.Every(l.every), l.burst)}
	l.by[addr] = l.order.PushFront(b)
	return b.rate
}

// remote returns the address a request comes from: of IPv6 the /64, which is what one household or host gets. It is the
// zero Addr on a Unix socket.
func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		p, _ := addr.Prefix(64) // 64 fits an IPv6 address
		return p.Addr()
	}
	return addr
}
