package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of connections to replicas.
const (
	dialTimeout = 3 * time.Second // replicas are on this machine
	// idleFor is how long an unused connection is kept: less than the five seconds after which Node.js closes its end,
	// because a request that meets the close may not be repeatable. Connecting anew costs about 50 µs.
	idleFor           = 4 * time.Second
	maxIdle           = 64        // unused connections per replica
	maxResponseHeader = 256 << 10 // bytes
	sweepEvery        = 250 * time.Millisecond
)

var errHeaderTooLarge = errors.New("the answer's header is too large")

// upstream is one connection to a replica. One exchange uses it at a time.
type upstream struct {
	b     *backend
	nc    net.Conn
	raw   syscall.RawConn
	br    *bufio.Reader
	out   []byte // scratch for the request's header
	since time.Time
	used  bool // has carried an exchange before

	header int64 // bytes that may still be read while a header is read; negative: no limit

	// What sweep looks at, besides b.live.
	gone     <-chan struct{} // closed when the client is; backend.mu
	deadline atomic.Int64    // Unix nanoseconds at which the exchange is cut; 0: never
	why      atomic.Pointer[error]
	answered atomic.Bool // the answer's header has come: deadline must stay 0

	switching bool // the request asked for another protocol

	alive bool // result of peek
	peek  func(fd uintptr) bool
}

func newUpstream(b *backend, nc net.Conn) *upstream {
	u := &upstream{b: b, nc: nc, header: -1}
	u.br = bufio.NewReaderSize(u, 4096)
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			u.raw = raw
			var one [1]byte
			u.peek = func(fd uintptr) bool {
				_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
				u.alive = err == unix.EAGAIN
				return true
			}
		}
	}
	return u
}

// Read feeds br.
func (u *upstream) Read(p []byte) (int, error) {
	if u.header >= 0 {
		if u.header == 0 {
			return 0, errHeaderTooLarge
		}
		if int64(len(p)) > u.header {
			p = p[:u.header]
		}
	}
	n, err := u.nc.Read(p)
	if u.header >= 0 {
		u.header -= int64(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if why := u.why.Load(); why != nil {
			err = *why
		}
	}
	return n, err
}

// expect gives the replica a time to go on, 0 for any, as long as it has not begun to answer.
func (u *upstream) expect(within time.Duration) {
	if within == 0 || u.answered.Load() {
		u.deadline.Store(0)
		return
	}
	u.deadline.Store(time.Now().Add(within).UnixNano())
	if u.answered.Load() { // meanwhile
		u.deadline.Store(0)
	}
}

// cut ends the exchange at once.
func (u *upstream) cut() { u.end(errCut) }

// end closes the connection, for a reason that reads report from then on.
func (u *upstream) end(why error) {
	u.why.CompareAndSwap(nil, &why)
	_ = u.nc.Close()
}

// usable tells whether an unused connection can still carry a request: the replica has neither closed it nor sent
// anything nobody asked for.
func (u *upstream) usable(now time.Time) bool {
	if now.Sub(u.since) > idleFor || u.br.Buffered() > 0 || u.raw == nil {
		return false
	}
	u.alive = false
	return u.raw.Read(u.peek) == nil && u.alive
}

// get returns a connection for one exchange, an unused one unless fresh is asked for.
func (b *backend) get(ctx context.Context, fresh bool) (*upstream, error) {
	gone := ctx.Done()
	for !fresh {
		b.mu.Lock()
		n := len(b.idle)
		if n == 0 {
			b.mu.Unlock()
			break
		}
		u := b.idle[n-1]
		b.idle[n-1] = nil
		b.idle = b.idle[:n-1]
		u.gone = gone
		b.live[u] = struct{}{}
		b.mu.Unlock()
		if u.usable(time.Now()) {
			return u, nil
		}
		b.drop(u)
	}
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: -1}
	nc, err := d.DialContext(ctx, "tcp", b.address)
	if err != nil {
		return nil, err
	}
	b.worked()
	u := newUpstream(b, nc)
	b.mu.Lock()
	u.gone = gone
	b.live[u] = struct{}{}
	b.mu.Unlock()
	return u, nil
}

// put gives a connection back for the next exchange.
func (b *backend) put(u *upstream) {
	u.deadline.Store(0)
	u.answered.Store(false)
	u.header, u.used, u.since = -1, true, time.Now()
	b.mu.Lock()
	delete(b.live, u)
	u.gone = nil
	keep := u.why.Load() == nil && len(b.idle) < maxIdle && !b.retired.Load()
	if keep {
		b.idle = append(b.idle, u)
	}
	b.mu.Unlock()
	if !keep {
		_ = u.nc.Close()
	}
}

// drop closes a connection that can carry no other exchange.
func (b *backend) drop(u *upstream) {
	b.mu.Lock()
	delete(b.live, u)
	u.gone = nil
	b.mu.Unlock()
	_ = u.nc.Close()
}

// closeIdle closes all unused connections.
func (b *backend) closeIdle() {
	b.mu.Lock()
	idle := b.idle
	b.idle = nil
	b.mu.Unlock()
	for _, u := range idle {
		_ = u.nc.Close()
	}
}

// sweepAt closes connections that have been unused for long, and ends exchanges whose time is over or whose client
// has gone. Doing this now and then for all costs less than a timer and a watcher for each request.
func (b *backend) sweepAt(now time.Time) {
	b.mu.Lock()
	old := 0
	for old < len(b.idle) && now.Sub(b.idle[old].since) > idleFor {
		old++
	}
	stale := append([]*upstream(nil), b.idle[:old]...)
	if old > 0 {
		n := copy(b.idle, b.idle[old:])
		clear(b.idle[n:])
		b.idle = b.idle[:n]
		if n == 0 {
			b.idle = nil
		}
	}
	for c := range b.live {
		u, ok := c.(*upstream)
		if !ok {
			continue
		}
		if d := u.deadline.Load(); d != 0 && now.UnixNano() > d {
			u.end(context.DeadlineExceeded)
			continue
		}
		select {
		case <-u.gone:
			u.end(context.Canceled)
		default:
		}
	}
	b.mu.Unlock()
	for _, u := range stale {
		_ = u.nc.Close()
	}
}

// sweep runs sweepAt for every replica until ctx ends.
func (p *Proxy) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.mu.Lock()
			all := make([]*backend, 0, len(p.leaving)+16)
			all = append(all, p.leaving...)
			for _, b := range p.backends {
				if b.active.Load() {
					all = append(all, b)
				}
			}
			p.forgetGone()
			p.mu.Unlock()
			for _, b := range all {
				b.sweepAt(now)
			}
		}
	}
}
