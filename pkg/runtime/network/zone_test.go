package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// ask asks a name server from inside the namespace.
func (s *space) ask(server netip.Addr, name string, qtype uint16) (addrs []string, m *dns.Msg, err error) {
	return s.askBy("udp", server, name, qtype)
}

func (s *space) askBy(network string, server netip.Addr, name string, qtype uint16) (addrs []string, m *dns.Msg, err error) {
	err = s.do(func() (err error) {
		c := dns.Client{Net: network, Timeout: 8 * time.Second}
		m, _, err = c.Exchange(new(dns.Msg).SetQuestion(name, qtype), netip.AddrPortFrom(server, 53).String())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			addrs = append(addrs, rr.A.String())
		case *dns.PTR:
			addrs = append(addrs, rr.Ptr)
		}
	}
	return addrs, m, nil
}

// asked asserts the answer: a code, then the addresses, in no order.
func (c *container) asked(gateway netip.Addr, name string, qtype uint16, want string) {
	c.t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		addrs, m, err := c.askBy(network, gateway, name, qtype)
		if err != nil {
			c.t.Errorf("asking for %s over %s: %v", name, network, err)
			continue
		}
		slices.Sort(addrs)
		if got := strings.Join(append([]string{dns.RcodeToString[m.Rcode]}, addrs...), " "); got != want {
			c.t.Errorf("%s %s over %s: %q, want %q", dns.TypeToString[qtype], name, network, got, want)
		}
	}
}

func TestNamesLeadToHealthyContainersOfTheEnvironment(t *testing.T) {
	b := newBox(t, "aaaa")
	one := b.attach("env-a", "one", "shop", "web.shop")
	two := b.attach("env-a", "two", "shop", "web.shop")
	worker := b.attach("env-a", "worker", "worker.shop")
	b.attach("env-b", "other", "api")
	gw := gatewayOf(t, b, "env-a")
	if got := string(b.m.ResolvConf("env-a")); !strings.HasPrefix(got, "nameserver "+gw.String()+"\n") {
		t.Errorf("resolv.conf: %q", got)
	}
	both := []string{one.Addr.String(), two.Addr.String()}
	slices.Sort(both)
	all := "NOERROR " + strings.Join(both, " ")

	one.asked(gw, "shop.internal.", dns.TypeA, all) // none is healthy: better any than none
	b.m.SetHealthy("one", true)
	one.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+one.Addr.String())
	b.m.SetHealthy("two", true)
	one.asked(gw, "Web.SHOP.internal.", dns.TypeA, all)
	b.m.SetHealthy("one", false)
	one.asked(gw, "web.shop.internal.", dns.TypeA, "NOERROR "+two.Addr.String())
	one.asked(gw, "worker.shop.internal.", dns.TypeA, "NOERROR "+worker.Addr.String())

	one.asked(gw, "shop.internal.", dns.TypeAAAA, "NOERROR")
	one.asked(gw, "shop.internal.", dns.TypeMX, "NOERROR")
	one.asked(gw, "internal.", dns.TypeA, "NOERROR")
	one.asked(gw, "api.internal.", dns.TypeA, "NXDOMAIN")
	one.asked(gw, "x.shop.internal.", dns.TypeA, "NXDOMAIN")
	reverse, _ := dns.ReverseAddr(two.Addr.String())
	one.asked(gw, reverse, dns.TypePTR, "NOERROR shop.internal.")

	if err := b.m.Detach(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	one.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+one.Addr.String())
}

// TestNamesTheHostAnswersForLeadToTheGateway: of a name that no container has and the host says is its own.
func TestNamesTheHostAnswersForLeadToTheGateway(t *testing.T) {
	b := newBox(t, "aaaa")
	b.Hosted = func(_ context.Context, env, name string) bool {
		return env == "env-a" && (name == "api" || name == "shop")
	}
	b.restart()
	one := b.attach("env-a", "one", "shop")
	other := b.attach("env-b", "other")
	gw := gatewayOf(t, b, "env-a")
	one.asked(gw, "api.internal.", dns.TypeA, "NOERROR "+gw.String())
	one.asked(gw, "api.internal.", dns.TypeAAAA, "NOERROR")
	one.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+one.Addr.String())
	one.asked(gw, "nobody.internal.", dns.TypeA, "NXDOMAIN")
	other.asked(gatewayOf(t, b, "env-b"), "api.internal.", dns.TypeA, "NXDOMAIN")
	if got := b.m.EnvironmentOf(other.Addr); got != "env-b" {
		t.Errorf("%s is of %q", other.Addr, got)
	}
	if got := b.m.EnvironmentOf(gw); got != "" {
		t.Errorf("the gateway is of %q", got)
	}
}

func TestAddressesOfANameTakeTurns(t *testing.T) {
	b := newBox(t, "aaaa")
	c := b.attach("env-a", "one", "shop")
	b.attach("env-a", "two", "shop")
	b.attach("env-a", "three", "shop")
	first := map[string]bool{}
	for range 3 {
		addrs, m, err := c.ask(gatewayOf(t, b, "env-a"), "shop.internal.", dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		first[addrs[0]] = true
		if ttl := m.Answer[0].Header().Ttl; ttl != 1 {
			t.Errorf("TTL %d", ttl)
		}
	}
	if len(first) != 3 {
		t.Errorf("three questions were led to %d addresses first", len(first))
	}
}

func TestManyAddressesFitByTCP(t *testing.T) {
	b := newBox(t, "aaaa")
	c := b.attach("env-a", "one")
	for i := range 100 {
		b.m.book.put(Attachment{Container: fmt.Sprint("r", i), EnvID: "env-a", Addr: netip.AddrFrom4([4]byte{10, 87, 9, byte(i)}), Aliases: []string{"many"}})
	}
	gw := gatewayOf(t, b, "env-a")
	addrs, m, err := c.ask(gw, "many.internal.", dns.TypeA)
	if err != nil || !m.Truncated || len(addrs) == 0 {
		t.Errorf("over UDP: %d addresses, truncated %v, %v", len(addrs), m != nil && m.Truncated, err)
	}
	addrs, _, err = c.askBy("tcp", gw, "many.internal.", dns.TypeA)
	if err != nil || len(addrs) != 100 {
		t.Errorf("over TCP: %d addresses, %v", len(addrs), err)
	}
}

// resolver is a real name server on the host's side that knows one address for every name.
func resolver(t *testing.T, answer string) (addr string, questions *atomic.Int64) {
	t.Helper()
	questions = new(atomic.Int64)
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		questions.Add(1)
		m := new(dns.Msg).SetReply(q)
		if answer == "" {
			m.Rcode = dns.RcodeServerFailure
		} else {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.ParseIP(answer)}}
		}
		_ = w.WriteMsg(m)
	})
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp4", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{Listener: tcp, Handler: h}, {PacketConn: udp, Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return tcp.Addr().String(), questions
}

func TestOtherNamesAreAskedOfTheHostsResolvers(t *testing.T) {
	b := newBox(t, "aaaa")
	c := b.attach("env-a", "one", "shop")
	gw := gatewayOf(t, b, "env-a")
	c.asked(gw, "example.com.", dns.TypeA, "SERVFAIL") // the box is offline

	good, _ := resolver(t, "192.0.2.7")
	b.resolvers(good)
	eventually(t, "the changed resolv.conf counts", func() error {
		if addrs, _, err := c.ask(gw, "example.com.", dns.TypeA); err != nil || len(addrs) != 1 || addrs[0] != "192.0.2.7" {
			return fmt.Errorf("%v %w", addrs, err)
		}
		return nil
	})
	c.asked(gw, "example.com.", dns.TypeA, "NOERROR 192.0.2.7")

	sick, askedSick := resolver(t, "")
	b.resolvers("127.0.0.1:1", sick, good) // the first does not listen, the second does not know
	eventually(t, "the changed resolv.conf counts", func() error {
		c.asked(gw, "example.org.", dns.TypeA, "NOERROR 192.0.2.7")
		if askedSick.Load() == 0 {
			return fmt.Errorf("the second was not asked yet")
		}
		return nil
	})
	c.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+c.Addr.String())
	b.resolvers()
	eventually(t, "offline again", func() error {
		if _, m, err := c.ask(gw, "example.com.", dns.TypeA); err != nil || m.Rcode != dns.RcodeServerFailure {
			return fmt.Errorf("answer %v, %w", m, err)
		}
		return nil
	})
}

func TestAHostWithANameServerOfItsOwn(t *testing.T) {
	udp, err := net.ListenPacket("udp4", "0.0.0.0:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	tcp, err := net.Listen("tcp4", "0.0.0.0:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	b := newBox(t, "aaaa")
	one, other := b.attach("env-a", "one", "shop"), b.attach("env-b", "other")
	gw := gatewayOf(t, b, "env-a")
	one.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+one.Addr.String())
	if _, _, err := other.ask(gw, "shop.internal.", dns.TypeA); err == nil {
		t.Error("another environment gets an answer")
	}
	other.isRefused("the names' other port in another environment", gw, otherDNSPort)
	b.wipe() // the next attachment puts the rules back, this one too
	b.attach("env-c", "three")
	b.m.repair(t.Context())
	one.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+one.Addr.String())
}
