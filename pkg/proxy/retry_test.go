package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// refusing returns a backend that nobody listens at.
func refusing(t testing.TB, name string) model.Backend {
	t.Helper()
	return model.Backend{Name: name, Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(freePort(t)))}
}

func TestDeadReplicaIsLeftOut(t *testing.T) {
	p := start(t)
	publish(t, p, plain(serving("a.localhost", refusing(t, "dead"), app(t, "alive", hello("alive")))))
	c := client(t, p)
	for i := range 50 {
		method, body := "GET", ""
		if i%2 == 1 { // nothing has been sent when connecting fails
			method, body = "POST", strings.Repeat("x", i*1000)
		}
		if res := do(t, c, method, "http://a.localhost/", strings.NewReader(body)); res.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %d", i, res.StatusCode)
		}
	}
	dead := p.named([]string{"dead"})[0]
	if n := dead.failures.Load(); n == 0 || n > 10 {
		t.Errorf("the dead replica was tried %d times", n)
	}
	publish(t, p, plain(serving("a.localhost", refusing(t, "dead-1"), refusing(t, "dead-2"))))
	if status, body := fetch(t, c, "http://a.localhost/"); status != 502 || !strings.Contains(body, "did not answer") {
		t.Errorf("all dead: %d %q", status, body)
	}
}

// closing is a replica that answers the first request of each connection and hangs up on the second.
func closing(t testing.TB, seen *atomic.Int64) model.Backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				br := bufio.NewReader(c)
				for first := true; ; first = false {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					seen.Add(1)
					if !first {
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
		}
	}()
	return model.Backend{Name: "closing", Addr: netip.MustParseAddrPort(ln.Addr().String())}
}

func TestRetryOfReusedConnection(t *testing.T) {
	p := start(t)
	var seen atomic.Int64
	publish(t, p, plain(serving("a.localhost", closing(t, &seen))))
	c := client(t, p)
	for i := range 6 { // the second, fourth … meet a connection that is hung up on
		if status, body := fetch(t, c, "http://a.localhost/"); status != 200 || body != "ok" {
			t.Fatalf("GET %d: %d %q", i, status, body)
		}
	}
	seen.Store(0)
	statuses := map[int]int{}
	for range 4 { // a POST is not repeated
		statuses[do(t, c, "POST", "http://a.localhost/", strings.NewReader("x")).StatusCode]++
	}
	if seen.Load() != 4 || statuses[502] == 0 {
		t.Errorf("4 POSTs were seen %d times and answered %v", seen.Load(), statuses)
	}
}

// TestClosedWhileIdle: a replica may close an unused connection; the next request notices, whatever its method.
func TestClosedWhileIdle(t *testing.T) {
	p := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{}, 100)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: hello("ok"), IdleTimeout: time.Millisecond, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	publish(t, p, plain(serving("a.localhost", model.Backend{Name: "b", Addr: netip.MustParseAddrPort(ln.Addr().String())})))
	c := client(t, p)
	for range 5 {
		if res := do(t, c, "POST", "http://a.localhost/", strings.NewReader("x")); res.StatusCode != http.StatusOK {
			t.Fatalf("%d", res.StatusCode)
		}
		<-closed
	}
}
