package network

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of forwarding a question to the host's resolvers.
const (
	upstreamTimeout = 2 * time.Second        // for one resolver's answer
	forwardTimeout  = 5 * time.Second        // for all of them together
	avoidFor        = 5 * time.Second        // after a failure a resolver is asked last
	lookEvery       = 500 * time.Millisecond // at most, for a change of resolv.conf
)

var errNoResolver = errors.New("the host has no resolver")

// forwarder asks the resolvers of the host's resolv.conf, which it reads again when the file changes.
type forwarder struct {
	path string

	mu      sync.Mutex
	looked  time.Time
	stamp   time.Time
	size    int64
	servers []netip.AddrPort
	avoid   map[netip.AddrPort]time.Time
}

func newForwarder(path string) *forwarder {
	return &forwarder{path: path, avoid: map[netip.AddrPort]time.Time{}}
}

// forward returns the first answer that a resolver gives.
func (f *forwarder) forward(ctx context.Context, q *dns.Msg, tcp bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	c := &dns.Client{Net: "udp", Timeout: upstreamTimeout, UDPSize: 4096}
	if tcp {
		c.Net = "tcp"
	}
	err := errNoResolver
	for _, s := range f.order() {
		var answer *dns.Msg
		answer, _, err = c.ExchangeContext(ctx, q, s.String())
		if err == nil && answer.Rcode != dns.RcodeServerFailure && answer.Rcode != dns.RcodeRefused {
			f.mark(s, false)
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			err = errors.New("resolver answered " + dns.RcodeToString[answer.Rcode])
			continue // it is there, but does not know: not a reason to avoid it
		}
		f.mark(s, true)
	}
	return nil, err
}

// order returns the resolvers as the host lists them, those that failed of late last.
func (f *forwarder) order() []netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Sub(f.looked) >= lookEvery {
		f.looked = now
		if st, err := os.Stat(f.path); err != nil {
			f.servers, f.stamp, f.size = nil, time.Time{}, -1
		} else if !st.ModTime().Equal(f.stamp) || st.Size() != f.size {
			f.servers, f.stamp, f.size = readResolvers(f.path), st.ModTime(), st.Size()
			clear(f.avoid)
		}
	}
	var good, bad []netip.AddrPort
	for _, s := range f.servers {
		if now.Before(f.avoid[s]) {
			bad = append(bad, s)
		} else {
			good = append(good, s)
		}
	}
	return append(good, bad...)
}

func (f *forwarder) mark(s netip.AddrPort, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if failed {
		f.avoid[s] = time.Now().Add(avoidFor)
	} else {
		delete(f.avoid, s)
	}
}

// readResolvers returns the nameserver lines of a resolv.conf, none where it cannot be read.
func readResolvers(path string) []netip.AddrPort {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out []netip.AddrPort
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		f := strings.Fields(sc.Text())
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			out = append(out, netip.AddrPortFrom(a, 53))
		} else if ap, err := netip.ParseAddrPort(f[1]); err == nil { // not standard, but unmistakable
			out = append(out, ap)
		}
	}
	return out
}
