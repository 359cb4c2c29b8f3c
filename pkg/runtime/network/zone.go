package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"
)

const (
	zoneName  = "internal."
	answerTTL = 1 // seconds: a replica that is gone is asked for no longer than that

	// One environment's questions keep neither the daemon nor another environment busy.
	maxForwards    = 128 // under way at the same time
	maxConnections = 64
)

// zone answers the questions of one environment's containers.
type zone struct {
	ctx      context.Context // ends with the name server
	env      string
	gateway  netip.Addr
	book     *book
	hosted   func(ctx context.Context, envID, name string) bool // or nil
	upstream *forwarder
	turn     atomic.Uint32 // rotates the addresses of a name
	slots    chan struct{} // one for each question under way to the host's resolvers
}

// ServeDNS answers one question.
func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	answer := z.answer(w, q)
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
		answer.Truncate(size)
	}
	_ = w.WriteMsg(answer) // nobody is left to tell
}

func (z *zone) answer(w dns.ResponseWriter, q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 {
		m.Rcode = dns.RcodeNotImplemented
		return m
	}
	question := q.Question[0]
	name := strings.ToLower(question.Name)
	switch {
	case name == zoneName || strings.HasSuffix(name, "."+zoneName):
		z.internal(m, question, strings.TrimSuffix(strings.TrimSuffix(name, zoneName), "."))
		return m
	case question.Qtype == dns.TypePTR && z.reverse(m, question, name):
		return m
	}
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	got, err := z.forward(q, tcp)
	if err != nil {
		m.Rcode = dns.RcodeServerFailure
		return m
	}
	got.Id = q.Id
	return got
}

func (z *zone) forward(q *dns.Msg, tcp bool) (*dns.Msg, error) {
	select {
	case z.slots <- struct{}{}:
		defer func() { <-z.slots }()
		return z.upstream.forward(z.ctx, q, tcp)
	default:
		return nil, errors.New("too many questions at once")
	}
}

// internal fills in the answer for a name below .internal, given without it.
func (z *zone) internal(m *dns.Msg, q dns.Question, name string) {
	m.Authoritative = true
	addrs, known := z.book.resolve(z.env, name)
	if !known && name != "" && z.hosted != nil && z.hosted(z.ctx, z.env, name) {
		addrs, known = []netip.Addr{z.gateway}, true
	}
	switch {
	case !known && name != "":
		m.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA || q.Qtype == dns.TypeANY:
		turn := int(z.turn.Add(1) % (1 << 16))
		for i := range addrs {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: answerTTL},
				A:   addrs[(i+turn)%len(addrs)].AsSlice(),
			})
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{&dns.SOA{ // bounds how long "no" is remembered
			Hdr: dns.RR_Header{Name: zoneName, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: answerTTL},
			Ns:  "ns." + zoneName, Mbox: "root." + zoneName, Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: answerTTL,
		}}
	}
}

// reverse answers for addresses of the environment, and reports whether the question was about one.
func (z *zone) reverse(m *dns.Msg, q dns.Question, name string) bool {
	name = z.book.nameOf(z.env, reverseAddr(name))
	if name == "" {
		return false
	}
	m.Answer = []dns.RR{&dns.PTR{
		Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: answerTTL},
		Ptr: name + "." + zoneName,
	}}
	return true
}

// reverseAddr reads "4.3.2.1.in-addr.arpa." as 1.2.3.4; anything else gives the zero Addr.
func reverseAddr(name string) netip.Addr {
	labels := strings.Split(strings.TrimSuffix(name, ".in-addr.arpa."), ".")
	if len(labels) != 4 {
		return netip.Addr{}
	}
	var b [4]byte
	for i, l := range labels {
		n, err := strconv.ParseUint(l, 10, 8)
		if err != nil {
			return netip.Addr{}
		}
		b[3-i] = byte(n)
	}
	return netip.AddrFrom4(b)
}

var _ dns.Handler = (*zone)(nil)
