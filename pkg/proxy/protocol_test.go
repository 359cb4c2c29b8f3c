package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/pandabox/pandabox/pkg/model"
)

func roots(t testing.TB, p *Proxy) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p.RootCA()) {
		t.Fatal("no root certificate")
	}
	return pool
}

func TestHTTPVersions(t *testing.T) {
	p := start(t)
	publish(t, p, serving("a.localhost", app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %d", r.Proto, r.Header.Get("X-Forwarded-Proto"), n)
	})))
	publish(t, p, serving("a.localhost", p.table.Load().find("a.localhost").Backends...), serving("early.localhost", app(t, "b-2", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
	})))
	body := bytes.Repeat([]byte("x"), 1<<20)
	conf := &tls.Config{RootCAs: roots(t, p)}
	h1 := &http.Transport{DialContext: dialProxy(p), TLSClientConfig: conf.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	h2 := &http.Transport{DialContext: dialProxy(p), TLSClientConfig: conf.Clone(), ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: conf.Clone(), Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
		return quic.DialAddr(ctx, p.HTTPSAddr().String(), c, q)
	}}
	defer h1.CloseIdleConnections()
	defer h2.CloseIdleConnections()
	defer func() { _ = h3.Close() }()
	for want, rt := range map[string]http.RoundTripper{"HTTP/1.1": h1, "HTTP/2.0": h2, "HTTP/3.0": h3} {
		c := &http.Client{Transport: rt, Timeout: 20 * time.Second}
		res := do(t, c, "GET", "https://a.localhost/", nil)
		if got := readAll(t, res.Body); res.Proto != want || got != "HTTP/1.1 https 0" {
			t.Errorf("%s: over %s: %q", want, res.Proto, got)
		}
		if want != "HTTP/3.0" && !strings.Contains(res.Header.Get("Alt-Svc"), "h3=") {
			t.Errorf("%s: HTTP/3 is not offered: %v", want, res.Header)
		}
		res = do(t, c, "POST", "https://a.localhost/", bytes.NewReader(body))
		if got := readAll(t, res.Body); got != "HTTP/1.1 https 1048576" {
			t.Errorf("%s: a body: %q", want, got)
		}
		res = do(t, c, "POST", "https://a.localhost/", io.MultiReader(bytes.NewReader(body)))
		if got := readAll(t, res.Body); got != "HTTP/1.1 https 1048576" {
			t.Errorf("%s: a body of unknown length: %q", want, got)
		}
		// an answer that comes before a body that does not end
		if res := do(t, c, "POST", "https://early.localhost/", endless{t.Context()}); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: an early answer: %d", want, res.StatusCode)
		}
	}
}

// endless gives a little and then nothing.
type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) {
	if len(p) > 100_000 {
		p = p[:100_000]
	}
	select {
	case <-e.ctx.Done():
		return 0, io.EOF
	case <-time.After(50 * time.Millisecond):
		return len(p), nil
	}
}

// echoSocket answers each message with itself.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(1 << 20)
	for {
		kind, b, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, b) != nil {
			return
		}
	}
}

func dialSocket(t testing.TB, p *Proxy, url string) *websocket.Conn {
	t.Helper()
	hc := &http.Client{Transport: &http.Transport{DialContext: dialProxy(p), TLSClientConfig: &tls.Config{RootCAs: roots(t, p)}}}
	c, res, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: hc, Subprotocols: []string{"echo"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	if c.Subprotocol() != "echo" || res.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("%d, subprotocol %q", res.StatusCode, c.Subprotocol())
	}
	return c
}

func TestWebSocket(t *testing.T) {
	p := start(t)
	b := app(t, "ws-1", echoSocket)
	publish(t, p, plain(serving("a.localhost", b)), serving("b.localhost", b))
	for _, url := range []string{"ws://a.localhost/", "wss://b.localhost/"} {
		c := dialSocket(t, p, url)
		c.SetReadLimit(1 << 20)
		for _, msg := range []string{"hello", strings.Repeat("x", 100_000)} {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != msg {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("%s: closing: %v", url, err)
		}
	}
	eventually(t, "nothing in flight", func() bool { return busy(p.named([]string{"ws-1"})) == 0 })

	c := dialSocket(t, p, "wss://b.localhost/")
	publish(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Drain(ctx, []string{"ws-1"}); err == nil {
		t.Error("an open WebSocket was not waited for")
	}
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("the WebSocket was not cut")
	}
	eventually(t, "nothing in flight", func() bool { return busy(p.named([]string{"ws-1"})) == 0 })
}

func TestGRPC(t *testing.T) {
	p := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, state := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(s, state)
	state.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(s.Stop)
	publish(t, p, serving("grpc.localhost", refusing(t, "dead"), model.Backend{Name: "g-1", Addr: netip.MustParseAddrPort(ln.Addr().String())}))

	conn, err := grpc.NewClient("passthrough:///"+p.HTTPSAddr().String(), grpc.WithAuthority("grpc.localhost"),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots(t, p), ServerName: "grpc.localhost"})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := grpc_health_v1.NewHealthClient(conn)
	for range 10 {
		got, err := c.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "shop"})
		if err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			t.Fatalf("%v, %v", got, err)
		}
	}
	for range 50 {
		if _, err := c.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "nothing"}); status.Code(err) != codes.NotFound {
			t.Errorf("an answer of a header alone: %v", err)
		}
	}
	watch, err := c.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{2, 1, 2} {
		got, err := watch.Recv()
		if err != nil || got.GetStatus() != want {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
		state.SetServingStatus("shop", 3-want)
	}
	publish(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Drain(ctx, []string{"g-1"}); err == nil {
		t.Error("an open stream was not waited for")
	}
	for {
		if _, err := watch.Recv(); err != nil {
			break
		}
	}
}
