package identity

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/pandabox/pandabox/pkg/model"
)

// How many failed attempts to sign in one remote address has, wherever it tries: one at once every second, and so many
// in a row.
const (
	DeniedEvery = time.Second
	DeniedBurst = 30
)

// maxAttempts is how many addresses, and what they try, one Attempts remembers; the least recently seen is forgotten.
const maxAttempts = 10_000

// Attempts counts attempts by remote address, in bounded memory. Its methods may be called from any goroutine.
type Attempts struct {
	every time.Duration
	burst int

	mu    sync.Mutex
	by    map[attempter]*list.Element
	order *list.List // of bucket, the most recently seen first
}

// attempter is an address, and what it tries: "" for everything.
type attempter struct {
	addr netip.Addr
	at   string
}

type bucket struct {
	attempter
	rate *rate.Limiter
}

// NewAttempts gives every address burst attempts in a row, and another one every so often.
func NewAttempts(every time.Duration, burst int) *Attempts {
	return &Attempts{every: every, burst: burst, by: map[attempter]*list.Element{}, order: list.New()}
}

// NewDenied returns those that fail to sign in.
func NewDenied() *Attempts { return NewAttempts(DeniedEvery, DeniedBurst) }

// TooMany is told to whom no attempt is left.
func TooMany() error {
	return model.Errorf(model.KindRateLimited, "too many failed attempts from your address").WithHint("wait half a minute")
}

// Take uses up one attempt of a remote address, HOST:PORT, and tells whether there was one. What is tried counts by
// itself: at is its name, of bounded length, or "".
func (a *Attempts) Take(remote, at string) bool { return a.of(remote, at).Allow() }

// Spent tells whether no attempt of a remote address is left.
func (a *Attempts) Spent(remote, at string) bool { return a.of(remote, at).Tokens() < 1 }

func (a *Attempts) of(remote, at string) *rate.Limiter {
	who := attempter{Household(remote), at}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, ok := a.by[who]; ok {
		if b, ok := e.Value.(bucket); ok {
			a.order.MoveToFront(e)
			return b.rate
		}
	}
	if a.order.Len() >= maxAttempts {
		if b, ok := a.order.Remove(a.order.Back()).(bucket); ok {
			delete(a.by, b.attempter)
		}
	}
	b := bucket{who, rate.NewLimiter(rate.Every(a.every), a.burst)}
	a.by[who] = a.order.PushFront(b)
	return b.rate
}

// Household returns whose attempts count together: of IPv6 the /64, which is what one household or host gets. It is the
// zero Addr of a Unix socket.
func Household(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
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
