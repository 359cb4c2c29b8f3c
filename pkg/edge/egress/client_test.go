package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/pandabox/pandabox/pkg/model"
)

func client(t *testing.T, c Config) *Client {
	made := New(c)
	t.Cleanup(made.Close)
	return made
}

func get(t *testing.T, c *Client, url string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp, string(body), err
}

func wantRefused(t *testing.T, err error) {
	t.Helper()
	var told *model.Error
	if !errors.Is(err, ErrRefused) || !errors.As(err, &told) || told.Kind != model.KindForbidden || told.Hint == "" || told.Why == "" {
		t.Errorf("%v, wanted a refusal that says why", err)
	}
}

// lookup is a resolver that knows some names.
func lookup(names map[string][]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		var found []netip.Addr
		for _, a := range names[host] {
			found = append(found, netip.MustParseAddr(a))
		}
		return found, nil
	}
}

func TestNamesAreJudgedByTheirAddresses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer server.Close()
	port := netip.MustParseAddrPort(server.Listener.Addr().String()).Port()
	names := lookup(map[string][]string{"evil.example": {"127.0.0.1"}, "half.example": {"10.0.0.1", "127.0.0.1"}, "empty.example": nil, "zone.example": {"fe80::1%lo"}})
	closed, open := client(t, Config{Lookup: names}), client(t, Config{Lookup: names, Policy: parse(t, "127.0.0.1")})
	for _, host := range []string{"evil.example", "half.example", "zone.example", "empty.example", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1%25lo]"} {
		_, _, err := get(t, closed, fmt.Sprintf("http://%s:%d/", host, port))
		wantRefused(t, err)
	}
	for _, host := range []string{"evil.example", "half.example", "127.0.0.1"} {
		url := fmt.Sprintf("http://%s:%d/", host, port)
		if _, body, err := get(t, open, url); err != nil || body != fmt.Sprintf("%s:%d", host, port) {
			t.Errorf("%s: %q, %v", url, body, err)
		}
	}
	for _, url := range []string{"ftp://half.example/", "http:///", "file:///etc/passwd", "/path"} {
		u, err := neturl.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: http.MethodGet, Header: http.Header{}, URL: u}
		if resp, err := open.RoundTrip(r); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v, %v", url, resp, err)
		}
	}
}

// TestRebinding runs a name server that first answers with an address that is allowed, and then with one that is not.
// The connection is made to what was judged; each new connection is judged anew.
func TestRebinding(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inner") }))
	defer inner.Close()
	port := netip.MustParseAddrPort(inner.Listener.Addr().String()).Port()
	outerListener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	outer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "outer") }))
	_ = outer.Listener.Close()
	outer.Listener = outerListener
	outer.Start()
	defer outer.Close()

	var asked atomic.Int64
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		if r.Question[0].Qtype == dns.TypeA {
			a := "127.0.0.2"
			if asked.Add(1) > 1 {
				a = "127.0.0.1"
			}
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(a)})
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	defer func() { _, _ = server.Shutdown(), <-done }()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", packets.LocalAddr().String())
	}}
	c := client(t, Config{
		Policy: parse(t, "127.0.0.2"),
		Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return resolver.LookupNetIP(ctx, "ip", host)
		},
	})
	url := fmt.Sprintf("http://rebind.example:%d/", port)
	if _, body, err := get(t, c, url); err != nil || body != "outer" {
		t.Fatalf("%q, %v", body, err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the name server was asked %d times for one connection", n)
	}
	c.Close() // its idle connections
	_, body, err := get(t, c, url)
	wantRefused(t, err)
	if body != "" {
		t.Errorf("%q came from inside", body)
	}
}

func TestRedirectsAreLeftToTheCaller(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/latest/meta-data", http.StatusFound))
	defer server.Close()
	c := client(t, Config{Policy: parse(t, "127.0.0.1")})
	resp, _, err := get(t, c, server.URL)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("%v, %v", resp, err)
	}
	_, _, err = get(t, c, resp.Header.Get("Location"))
	wantRefused(t, err)
}

func TestInternalNames(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "app") }))
	defer server.Close()
	addr := netip.MustParseAddrPort(server.Listener.Addr().String())
	c := Config{
		Resolve: func(_ context.Context, host string) ([]netip.AddrPort, error) {
			if host == "shop.internal" {
				return []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), 1), addr}, nil // the first is down
			}
			return nil, nil
		},
		Local: func(host string) http.RoundTripper {
			if strings.HasPrefix(host, "fn.") {
				return roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("function"))}, nil
				})
			}
			return nil
		},
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			t.Error("a name server was asked")
			return nil, nil
		},
	}
	open := client(t, c)
	for url, want := range map[string]string{"http://shop.internal/": "app", fmt.Sprintf("http://shop.internal:%d/", addr.Port()): "app", "http://fn.internal/": "function"} {
		if _, body, err := get(t, open, url); err != nil || body != want {
			t.Errorf("%s: %q, %v", url, body, err)
		}
	}
	if _, _, err := get(t, open, "http://other.internal/"); model.KindOf(err) != model.KindUnavailable {
		t.Errorf("%v", err)
	}
	c.Policy = parse(t, None)
	closed := client(t, c)
	for _, url := range []string{"http://shop.internal/", "http://fn.internal/", "http://example.com/"} {
		_, _, err := get(t, closed, url)
		wantRefused(t, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoProxyAndNoOtherHost(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer server.Close()
	c := client(t, Config{Policy: parse(t, "127.0.0.1"), Lookup: lookup(map[string][]string{"a.example": {"127.0.0.1"}})})
	port := netip.MustParseAddrPort(server.Listener.Addr().String()).Port()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://a.example:%d/", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "other.example"
	resp, err := c.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || string(body) != r.URL.Host || r.Host != "other.example" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestHTTP2AndCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, body, err := get(t, client(t, Config{Policy: parse(t, "127.0.0.1"), Roots: roots}), server.URL); err != nil || body != "HTTP/2.0" {
		t.Errorf("%q, %v", body, err)
	}
	if _, _, err := get(t, client(t, Config{Policy: parse(t, "127.0.0.1")}), server.URL); err == nil {
		t.Error("a certificate of nobody was accepted")
	}
}

func TestAnEndlessHeaderIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = bufio.NewReader(conn).ReadString('\n')
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(conn, "X-More: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
				return
			}
		}
	}()
	if _, _, err := get(t, client(t, Config{Policy: parse(t, "127.0.0.1")}), "http://"+l.Addr().String()); err == nil {
		t.Error("it was read to no end")
	}
	_ = l.Close()
	<-done
}

func TestBoxKnowsItsOwnAddresses(t *testing.T) {
	var b Box
	if !b.Has(netip.MustParseAddr("127.0.0.1")) || !b.Has(netip.MustParseAddr("::ffff:127.0.0.1")) || b.Has(netip.MustParseAddr("93.184.215.14")) {
		t.Error("the addresses of the network cards are not known")
	}
}
