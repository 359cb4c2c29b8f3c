package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy/proxytest"
)

// freePort returns a port nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	a, err := probe(netip.MustParseAddrPort("127.0.0.1:0"), true)
	if err != nil {
		t.Fatal(err)
	}
	return int(a.Port())
}

// startACME runs a proxy with a real ACME server.
func startACME(t testing.TB, change ...func(*Config)) (*Proxy, *proxytest.ACME) {
	t.Helper()
	plain, secure := freePort(t), freePort(t)
	server := proxytest.StartACME(t, plain, secure)
	at := func(port int) string {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)).String()
	}
	p := start(t, append([]func(*Config){func(c *Config) {
		c.BaseDomain, c.HTTPAddr, c.HTTPSAddr = "", at(plain), at(secure)
		c.ACME = ACME{CADirectory: server.Directory, RootCAs: []string{server.RootFile}}
	}}, change...)...)
	return p, server
}

// handshake connects to the proxy as a client of host that trusts roots.
func handshake(p *Proxy, host string, roots []byte) (*x509.Certificate, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	c, err := tls.Dial("tcp", p.HTTPSAddr().String(), &tls.Config{ServerName: host, RootCAs: pool})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0], nil
}

func TestACME(t *testing.T) {
	for name, only := range map[string]func(*Config){
		"http-01":     func(c *Config) { c.ACME.HTTP01Only = true },
		"tls-alpn-01": func(c *Config) { c.ACME.TLSALPN01Only = true },
	} {
		t.Run(name, func(t *testing.T) {
			p, server := startACME(t, only)
			publish(t, p, serving("shop.example.com", app(t, "shop-1", hello("shop"))))
			eventually(t, "a public certificate", func() bool {
				s, err := p.Certificate(t.Context(), "shop.example.com")
				return err == nil && s.Issuer != "" && s.Problem == ""
			})
			leaf, err := handshake(p, "shop.example.com", server.IssuingCA)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(leaf.Issuer.CommonName, "Pebble") {
				t.Errorf("issued by %s", leaf.Issuer)
			}
			if _, err := handshake(p, "other.example.com", server.IssuingCA); err == nil {
				t.Error("a handshake for a host nobody serves went well")
			}
		})
	}
}

// TestACMEFirstVisitor asks at once: the first visitor waits for the certificate instead of getting a wrong one.
func TestACMEFirstVisitor(t *testing.T) {
	p, server := startACME(t)
	publish(t, p, serving("quick.example.com", app(t, "quick-1", hello("quick"))))
	if _, err := handshake(p, "quick.example.com", server.IssuingCA); err != nil {
		t.Fatal(err)
	}
}

// TestACMEFails: a host that cannot be validated is still reachable, with a certificate of the box's own CA, says why,
// and takes nothing from another.
func TestACMEFails(t *testing.T) {
	p, server := startACME(t)
	server.Lose("lost.example.com")
	b := app(t, "b-1", hello("b"))
	publish(t, p, serving("lost.example.com", b), serving("good.example.com", b))
	eventually(t, "a problem", func() bool {
		s, err := p.Certificate(t.Context(), "lost.example.com")
		return err == nil && s.Problem != ""
	})
	s, _ := p.Certificate(t.Context(), "lost.example.com")
	t.Logf("problem: %s", s.Problem)
	if s.Issuer != "" {
		t.Errorf("issued by %q", s.Issuer)
	}
	if _, err := handshake(p, "lost.example.com", p.RootCA()); err != nil {
		t.Errorf("with the box's own CA: %v", err)
	}
	if s, err := p.Certificate(t.Context(), "lost.example.com"); err != nil || s.Problem == "" {
		t.Errorf("the stand-in made the problem go away: %+v, %v", s, err)
	}
	eventually(t, "the other host's certificate", func() bool {
		_, err := handshake(p, "good.example.com", server.IssuingCA)
		return err == nil
	})
	// a host that leaves the table is not tried any longer
	publish(t, p, serving("good.example.com", b))
	eventually(t, "forgotten", func() bool {
		p.certs.mu.Lock()
		defer p.certs.mu.Unlock()
		return p.certs.hosts["lost.example.com"] == nil
	})
}

func TestACMEWildcardRoute(t *testing.T) {
	p, server := startACME(t)
	publish(t, p, serving("*.wild.example.com", app(t, "wild-1", hello("wild"))))
	if _, err := handshake(p, "one.wild.example.com", server.IssuingCA); err != nil {
		t.Fatal(err)
	}
	for i := range wildcardNames + 3 { // somebody makes names up
		name := string(rune('a'+i)) + "-made-up.wild.example.com"
		if _, err := handshake(p, name, append(server.IssuingCA, p.RootCA()...)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	p.certs.mu.Lock()
	defer p.certs.mu.Unlock()
	if n := len(p.certs.hosts); n > wildcardNames+1 {
		t.Errorf("asked for %d certificates", n)
	}
}

// TestCertificatesLast: certificates outlive the proxy, and one that cannot be read costs only its own host a new one.
func TestCertificatesLast(t *testing.T) {
	store := newMemory()
	keep := func(c *Config) { c.Storage = store }
	b := model.Backend{Name: "b-1", Addr: netip.MustParseAddrPort("127.0.0.1:9")}
	routes := []model.Route{serving("a.example.com", b), serving("b.example.com", b), {Host: "c.localhost", WorkloadID: "c", State: model.RouteStarting}}
	serials := map[string]string{}
	var server *proxytest.ACME
	t.Run("first", func(t *testing.T) {
		var p *Proxy
		p, server = startACME(t, keep)
		publish(t, p, routes...)
		for _, host := range []string{"a.example.com", "b.example.com", "c.localhost"} {
			eventually(t, host, func() bool {
				leaf, err := handshake(p, host, append(server.IssuingCA, p.RootCA()...))
				if err == nil && (host == "c.localhost" || strings.Contains(leaf.Issuer.CommonName, "Pebble")) {
					serials[host] = leaf.SerialNumber.String()
				}
				return serials[host] != ""
			})
		}
	})
	spoilt := 0
	for k := range store.m {
		if strings.HasPrefix(k, "certificates/") && strings.HasSuffix(k, "b.example.com.crt") {
			store.m[k] = []byte("spoilt")
			spoilt++
		}
	}
	if spoilt != 1 {
		t.Fatalf("%d certificates to spoil", spoilt)
	}
	// no ACME server answers any more: what is served now comes from storage
	p := start(t, keep, func(c *Config) {
		c.BaseDomain, c.ACME = "", ACME{CADirectory: server.Directory}
	})
	publish(t, p, routes...)
	trust := append(server.IssuingCA, p.RootCA()...)
	for _, host := range []string{"a.example.com", "c.localhost"} {
		eventually(t, host, func() bool {
			leaf, err := handshake(p, host, trust)
			return err == nil && leaf.SerialNumber.String() == serials[host]
		})
	}
	leaf, err := handshake(p, "b.example.com", trust)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(leaf.Issuer.CommonName, "Pebble") {
		t.Errorf("the spoilt certificate is served")
	}
	if got, err := store.ListBlobs(brokenPrefix); err != nil || len(got) == 0 {
		t.Errorf("what could not be read was not put aside: %v, %v", got, err)
	}
}

func TestSpoiltCA(t *testing.T) {
	for _, part := range []string{"root.crt", "root.key", "intermediate.crt", "intermediate.key"} {
		t.Run(part, func(t *testing.T) {
			store := newMemory()
			keep := func(c *Config) { c.Storage = store }
			t.Run("first", func(t *testing.T) { start(t, keep) })
			if _, ok := store.m[caPrefix+part]; !ok {
				t.Fatalf("there is no %s", part)
			}
			store.m[caPrefix+part] = []byte("spoilt")
			p := start(t, keep)
			publish(t, p, serving("shop.localhost", app(t, "shop-1", hello("shop"))))
			if status, body := fetch(t, client(t, p), "https://shop.localhost/"); status != 200 || body != "shop" {
				t.Errorf("%d %q", status, body)
			}
		})
	}
}

func TestHandshakeWithoutName(t *testing.T) {
	p := start(t)
	c, err := tls.Dial("tcp", p.HTTPSAddr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // looked at below
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	leaf := c.ConnectionState().PeerCertificates[0]
	if err := leaf.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
}

// TestAddressAsServerName: nobody can have certificates made for addresses by naming them.
func TestAddressAsServerName(t *testing.T) {
	p := start(t)
	for _, name := range []string{"8.8.8.8", "127.0.0.1"} {
		if _, err := p.certs.get(&tls.ClientHelloInfo{ServerName: name}); err == nil {
			t.Errorf("%s got a certificate", name)
		}
	}
	if n := len(p.certs.own); n != 0 {
		t.Errorf("%d were made", n)
	}
}

func TestResumption(t *testing.T) {
	p := start(t)
	publish(t, p, serving("shop.localhost", app(t, "shop-1", hello("shop"))))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.RootCA())
	conf := &tls.Config{RootCAs: pool, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	tr := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.HTTPSAddr().String())
	}}
	resumed := false
	for range 2 {
		res, err := (&http.Client{Transport: tr}).Get("https://shop.localhost/")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		resumed = res.TLS.DidResume
	}
	if !resumed {
		t.Error("the second connection did not resume the first one's session")
	}
}
