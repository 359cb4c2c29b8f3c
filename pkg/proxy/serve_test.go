package proxy

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/pandabox/pandabox/pkg/model"
)

// plain makes a route be served over HTTP.
func plain(r model.Route) model.Route {
	r.TLS = model.TLSOff
	return r
}

func do(t testing.TB, c *http.Client, method, url string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPublishUnderLoad replaces replicas again and again while clients ask without pause: no request fails.
func TestPublishUnderLoad(t *testing.T) {
	p := start(t)
	run := func(i int) (model.Backend, *http.Server) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(20 * time.Millisecond)
			}
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n)
		})}
		go func() { _ = s.Serve(ln) }()
		return model.Backend{Name: fmt.Sprint("r-", i), Addr: netip.MustParseAddrPort(ln.Addr().String())}, s
	}
	others := hosts(500)
	b, s := run(0)
	table := func(bs ...model.Backend) []model.Route {
		return append([]model.Route{serving("shop.localhost", bs...), plain(serving("plain.localhost", bs...))}, others...)
	}
	publish(t, p, table(b)...)

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var done, failed atomic.Int64
	for i := range 8 {
		clients.Go(func() {
			c := client(t, p)
			for n := 0; ctx.Err() == nil; n++ {
				url, method, body := "https://shop.localhost/", "GET", ""
				switch (n + i) % 4 {
				case 1:
					url = "http://plain.localhost/slow"
				case 2:
					method, body = "POST", "hello"
				case 3:
					url, method, body = "http://plain.localhost/", "POST", strings.Repeat("x", 40_000)
				}
				req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				res, err := c.Do(req)
				if err != nil {
					t.Errorf("%s %s: %v", method, url, err)
					failed.Add(1)
					continue
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK || err != nil || string(got) != fmt.Sprint(len(body)) {
					t.Errorf("%s %s: %d %q %v", method, url, res.StatusCode, got, err)
					failed.Add(1)
				}
				done.Add(1)
			}
		})
	}
	for i := 1; i <= 25; i++ {
		nb, ns := run(i)
		publish(t, p, table(nb)...)
		drained, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := p.Drain(drained, []string{b.Name}); err != nil {
			t.Error(err)
		}
		cancel()
		_ = s.Close() // at once: nothing may be in flight
		b, s = nb, ns
		before := done.Load()
		eventually(t, "more requests", func() bool { return done.Load() > before+20 })
	}
	stop()
	clients.Wait()
	_ = s.Close()
	t.Logf("%d requests, %d failed", done.Load(), failed.Load())
}

func TestDrainCutsWhatIsLeft(t *testing.T) {
	p := start(t)
	entered, left := make(chan struct{}), make(chan struct{})
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		close(entered)
		<-r.Context().Done()
		close(left)
	})
	publish(t, p, plain(serving("a.localhost", b)))
	c := client(t, p)
	res := do(t, c, "GET", "http://a.localhost/", nil)
	<-entered
	publish(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Drain(ctx, []string{"b-1"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("draining: %v", err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("the client was not told that the answer is not whole")
	}
	<-left
	called, off := context.WithCancel(t.Context())
	off()
	if err := p.Drain(called, []string{"b-1"}); err != nil {
		t.Errorf("draining what is idle: %v", err)
	}
	if err := p.Drain(t.Context(), []string{"b-1", "never-was"}); err != nil {
		t.Errorf("draining again: %v", err)
	}
}

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

func TestEvents(t *testing.T) {
	for _, url := range []string{"http://a.localhost/", "https://b.localhost/"} {
		p := start(t)
		next := make(chan struct{})
		b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			rc := http.NewResponseController(w)
			for i := range 3 {
				_ = rc.Flush() // the header alone, at first
				<-next
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			}
		})
		publish(t, p, plain(serving("a.localhost", b)), serving("b.localhost", b))
		res := do(t, client(t, p), "GET", url, nil, "Accept-Encoding", "gzip")
		lines := bufio.NewReader(res.Body)
		for i := range 3 {
			next <- struct{}{} // only now: the answer's header was read, and the event before
			line, err := lines.ReadString('\n')
			if err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%s: event %d: %q %v", url, i, line, err)
			}
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		_ = res.Body.Close()
		stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_ = p.Close(stop)
		cancel()
	}
}

func TestBodyLimit(t *testing.T) {
	p := start(t)
	var got atomic.Int64
	b := app(t, "b-1", func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got.Store(n)
	})
	limited := func(host string, limit int64) model.Route {
		r := serving(host, b)
		r.Limits.MaxBody = limit
		return r
	}
	publish(t, p, plain(limited("plain.localhost", 1000)), limited("secure.localhost", 1000), limited("free.localhost", -1))
	c := client(t, p)
	unknown := func(n int) io.Reader { return io.MultiReader(strings.NewReader(strings.Repeat("x", n))) }
	for _, host := range []string{"http://plain.localhost/", "https://secure.localhost/"} {
		for _, tt := range []struct {
			body   io.Reader
			status int
		}{
			{strings.NewReader(strings.Repeat("x", 1000)), 200}, {strings.NewReader(strings.Repeat("x", 1001)), 413},
			{unknown(1000), 200}, {unknown(1001), 413}, {unknown(1 << 20), 413}, {strings.NewReader(strings.Repeat("x", 8<<20)), 413},
		} {
			if res := do(t, c, "POST", host, tt.body); res.StatusCode != tt.status {
				t.Errorf("%s: %d, want %d", host, res.StatusCode, tt.status)
			}
		}
	}
	if res := do(t, c, "POST", "https://free.localhost/", io.LimitReader(rand.Reader, 120<<20)); res.StatusCode != http.StatusOK || got.Load() != 120<<20 {
		t.Errorf("without a limit: %d, %d bytes", res.StatusCode, got.Load())
	}
}

func TestAnswerTimeout(t *testing.T) {
	p := start(t)
	release := make(chan struct{})
	defer close(release)
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second) // longer than the limit: a stream is not cut
			_, _ = io.WriteString(w, "late")
			return
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	r := plain(serving("a.localhost", b))
	r.Limits.Timeout = model.Duration(300 * time.Millisecond)
	publish(t, p, r)
	c := client(t, p)
	for _, body := range []string{"", "small", strings.Repeat("large", 10_000)} {
		res := do(t, c, "POST", "http://a.localhost/", strings.NewReader(body))
		if res.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("%d bytes: %d", len(body), res.StatusCode)
		}
	}
	if status, body := fetch(t, c, "http://a.localhost/stream"); status != 200 || body != "late" {
		t.Errorf("a stream: %d %q", status, body)
	}
}

func TestClientGoesAway(t *testing.T) {
	p := start(t)
	noticed := make(chan string, 8)
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		noticed <- r.URL.Path
	})
	publish(t, p, plain(serving("a.localhost", b)), serving("b.localhost", b))
	for _, url := range []string{"http://a.localhost/wait", "http://a.localhost/stream", "https://b.localhost/wait", "https://b.localhost/stream"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(50*time.Millisecond, cancel)
		if res, err := client(t, p).Do(req); err == nil {
			_, _ = io.ReadAll(res.Body)
			_ = res.Body.Close()
		}
		if got := <-noticed; !strings.HasSuffix(url, got) {
			t.Errorf("%s: %s was told", url, got)
		}
	}
	eventually(t, "nothing in flight", func() bool { return busy(p.named([]string{"b-1"})) == 0 })
}

// TestHugeHeader: a header of 100 MB is refused after its first 64 KiB, and memory stays bounded.
func TestHugeHeader(t *testing.T) {
	p := start(t)
	publish(t, p, plain(serving("a.localhost", app(t, "b-1", hello("ok")))))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := net.Dial("tcp", p.HTTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	sent := make(chan int64, 1)
	go func() {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.localhost\r\n")
		line := []byte("X-Filler: " + strings.Repeat("x", 1014) + "\r\n")
		var n int64
		for n < 100<<20 {
			m, err := c.Write(line)
			n += int64(m)
			if err != nil {
				break
			}
		}
		sent <- n
	}()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !res.Close {
		t.Errorf("%d, close: %v", res.StatusCode, res.Close)
	}
	if n := <-sent; n >= 100<<20 {
		t.Errorf("all %d bytes were taken", n)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	if status, _ := fetch(t, client(t, p), "http://a.localhost/"); status != 200 {
		t.Errorf("the next request: %d", status)
	}
}

// TestHugeAnswerHeader: a replica cannot make the proxy hold an endless header.
func TestHugeAnswerHeader(t *testing.T) {
	p := start(t)
	b, _ := replica(t, oracleCase{script: "HTTP/1.1 200 OK\r\nX-Filler: " + strings.Repeat("x", 10<<20) + "\r\n\r\n"})
	publish(t, p, plain(serving("a.localhost", b)))
	if status, _ := fetch(t, client(t, p), "http://a.localhost/"); status != 502 {
		t.Errorf("%d", status)
	}
}

// TestSlowClients: who dribbles a header or stops in the middle of a body loses the connection; others are not held up.
func TestSlowClients(t *testing.T) {
	p := start(t, func(c *Config) {
		c.Timeouts = Timeouts{Header: 500 * time.Millisecond, Stall: 500 * time.Millisecond, Idle: 500 * time.Millisecond}
	})
	b := app(t, "b-1", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	publish(t, p, plain(serving("a.localhost", b)))
	for name, start := range map[string]string{
		"header": "GET / HTTP/1.1\r\nHost: a.loc",
		"body":   "POST / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 100\r\n\r\nhalf",
		"large":  "POST / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 100000\r\n\r\nhalf",
		"chunks": "POST / HTTP/1.1\r\nHost: a.localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"idle":   "GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n",
	} {
		c, err := net.Dial("tcp", p.HTTPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, start)
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: %v, want the connection closed", name, err)
		}
		_ = c.Close()
	}
	eventually(t, "nothing in flight", func() bool { return busy(p.named([]string{"b-1"})) == 0 })

	c, err := net.Dial("tcp", p.HTTPSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, "\x16\x03\x01") // a handshake that goes no further
	if _, err := io.ReadAll(c); isTimeout(err) {
		t.Errorf("a handshake: %v", err)
	}
}

// TestSlowReader: a client that takes nothing of a large answer is cut off.
func TestSlowReader(t *testing.T) {
	p := start(t, func(c *Config) { c.Timeouts.Stall = 500 * time.Millisecond })
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		for range 1000 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	publish(t, p, plain(serving("a.localhost", b)))
	c, err := net.Dial("tcp", p.HTTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n")
	eventually(t, "in flight", func() bool { return busy(p.named([]string{"b-1"})) == 1 })
	eventually(t, "cut off", func() bool { return busy(p.named([]string{"b-1"})) == 0 })
}

func TestCompression(t *testing.T) {
	p := start(t)
	text := strings.Repeat("all work and no play ", 1000)
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", r.URL.Query().Get("type"))
		if v := r.URL.Query().Get("encoding"); v != "" {
			h.Set("Content-Encoding", v)
		}
		h.Set("Etag", `"tag"`)
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, "small")
			return
		}
		if r.URL.Path == "/length" {
			h.Set("Content-Length", fmt.Sprint(len(text)))
		}
		_, _ = io.WriteString(w, text)
	})
	publish(t, p, plain(serving("a.localhost", b)))
	c := client(t, p)
	for _, tt := range []struct{ path, accept, want string }{
		{"/?type=text/html", "gzip", "gzip"}, {"/length?type=text/html", "gzip, br", "gzip"}, {"/?type=application/json", "gzip, zstd", "zstd"},
		{"/length?type=image/svg%2Bxml", "zstd", "zstd"}, {"/?type=text/html", "identity", ""}, {"/?type=text/html", "br", ""},
		{"/?type=text/html", "gzip;q=0", ""}, {"/?type=image/png", "gzip", ""}, {"/?type=text/html&encoding=br", "gzip", "br"},
		{"/?type=text/event-stream", "gzip", ""}, {"/small?type=text/html", "gzip", ""}, {"/?type=", "gzip", ""},
	} {
		res := do(t, c, "GET", "http://a.localhost"+tt.path, nil, "Accept-Encoding", tt.accept)
		if got := res.Header.Get("Content-Encoding"); got != tt.want {
			t.Errorf("%s for %q: %q, want %q", tt.path, tt.accept, got, tt.want)
			continue
		}
		var r io.Reader = res.Body
		switch tt.want {
		case "gzip":
			zr, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			r = zr
		case "zstd":
			zr, err := zstd.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			defer zr.Close()
			r = zr
		}
		want := text
		if strings.HasPrefix(tt.path, "/small") {
			want = "small"
		}
		if got := readAll(t, r); got != want {
			t.Errorf("%s for %q: %d bytes, want %d", tt.path, tt.accept, len(got), len(want))
		}
		if tag := res.Header.Get("Etag"); (tt.want == "gzip" || tt.want == "zstd") != strings.HasPrefix(tag, "W/") {
			t.Errorf("%s for %q: tag %s", tt.path, tt.accept, tag)
		}
	}
}

func TestPagesByAccept(t *testing.T) {
	p := start(t)
	c := client(t, p)
	for accept, kind := range map[string]string{
		"text/html,application/xhtml+xml": "text/html; charset=utf-8", "application/json": "application/problem+json", "": "text/plain; charset=utf-8",
	} {
		res := do(t, c, "GET", "http://nobody.localhost/<script>", nil, "Accept", accept)
		body := readAll(t, res.Body)
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != kind || !strings.Contains(body, "No such app") || strings.Contains(body, "<script>") {
			t.Errorf("%q: %d %s %q", accept, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
	}
	publish(t, p, plain(model.Route{Host: "new.localhost", WorkloadID: "n", State: model.RouteStarting}))
	if res := do(t, c, "GET", "http://new.localhost/", nil); res.Header.Get("Retry-After") == "" {
		t.Error("an app that is starting has no Retry-After")
	}
}

func TestHeaders(t *testing.T) {
	p := start(t)
	seen := make(chan http.Header, 1)
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		h := r.Header.Clone()
		h.Set("Host", r.Host)
		seen <- h
		w.Header().Set("X-Frame-Options", "ALLOW")
	})
	r := serving("a.localhost", b)
	r.Limits.Headers = map[string]string{"x-frame-options": "DENY", "Strict-Transport-Security": "max-age=1"}
	publish(t, p, r)
	res := do(t, client(t, p), "GET", "https://a.localhost/", nil, "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "http", "X-Real-Ip", "6.6.6.6", "X-Request-Id", "my-own-id")
	h := <-seen
	for k, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.localhost", "X-Real-Ip": "", "X-Request-Id": "my-own-id", "Host": "a.localhost",
	} {
		if got := strings.Join(h.Values(k), ","); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	for k, want := range map[string]string{"X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=1", "Server": ""} {
		if got := strings.Join(res.Header.Values(k), ","); got != want {
			t.Errorf("the answer's %s is %q, want %q", k, got, want)
		}
	}
	res = do(t, client(t, p), "GET", "https://a.localhost/", nil, "X-Request-Id", "bad id\t!")
	_ = res
	if got := (<-seen).Get("X-Request-Id"); len(got) != 32 {
		t.Errorf("an id of our own: %q", got)
	}
}

func TestAccessLog(t *testing.T) {
	var mu sync.Mutex
	var got []AccessEntry
	p := start(t, func(c *Config) {
		c.APIHandler = hello("api")
		c.AccessLog = func(e AccessEntry) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, e)
		}
	})
	publish(t, p, plain(serving("a.localhost", app(t, "b-1", hello("12345")))))
	c := client(t, p)
	fetch(t, c, "http://a.localhost/path?secret=1")
	fetch(t, c, "http://nobody.localhost/")
	fetch(t, c, "https://box.localhost/v1")
	eventually(t, "three entries", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 3 })
	e := got[0]
	if e.App != "a" || e.WorkloadID != "w-a.localhost" || e.Backend != "b-1" || e.Status != 200 || e.Bytes != 5 || e.Path != "/path" || e.RemoteIP != "127.0.0.1" || e.Method != http.MethodGet || e.Host != "a.localhost" {
		t.Errorf("%+v", e)
	}
	if got[1].Status != 404 || got[2].Status != 200 || got[2].Bytes != 3 {
		t.Errorf("%+v", got[1:])
	}
}

// TestCloseLetsRequestsFinish: what is in flight when the proxy closes is answered.
func TestCloseLetsRequestsFinish(t *testing.T) {
	p := start(t)
	entered := make(chan struct{})
	release := make(chan struct{})
	b := app(t, "b-1", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	publish(t, p, serving("a.localhost", b))
	c := client(t, p)
	type result struct {
		body string
		err  error
	}
	answered := make(chan result, 1)
	go func() {
		res, err := c.Get("https://a.localhost/")
		if err != nil {
			answered <- result{err: err}
			return
		}
		body, err := io.ReadAll(res.Body)
		answered <- result{string(body), err}
	}()
	<-entered
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		closed <- p.Close(ctx)
	}()
	eventually(t, "no longer listening", func() bool {
		conn, err := net.Dial("tcp", p.HTTPSAddr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	if r := <-answered; r.err != nil || r.body != "done" {
		t.Errorf("the request in flight: %+v", r)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	// and again from the start
	start(t)
}

// TestEarlyAnswerToLargeBody: an app may answer without reading the body.
func TestEarlyAnswerToLargeBody(t *testing.T) {
	p := start(t)
	b := app(t, "b-1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "no")
	})
	publish(t, p, plain(serving("a.localhost", b)), serving("b.localhost", b))
	for _, url := range []string{"http://a.localhost/", "https://b.localhost/"} {
		res := do(t, client(t, p), "PUT", url, io.LimitReader(rand.Reader, 50<<20))
		if body := readAll(t, res.Body); res.StatusCode != http.StatusForbidden || body != "no" {
			t.Errorf("%s: %d %q", url, res.StatusCode, body)
		}
	}
}

// TestBothWaysAtOnce: an app may answer while it reads, piece by piece.
func TestBothWaysAtOnce(t *testing.T) {
	p := start(t)
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = fmt.Fprintf(w, "%s!\n", lines.Text())
			_ = rc.Flush()
		}
	})
	publish(t, p, plain(serving("a.localhost", b)), serving("b.localhost", b))
	for _, url := range []string{"http://a.localhost/", "https://b.localhost/"} {
		pr, pw := io.Pipe()
		go func() { _, _ = io.WriteString(pw, "0\n") }()
		res := do(t, client(t, p), "POST", url, pr)
		lines := bufio.NewReader(res.Body)
		for i := range 5 {
			got, err := lines.ReadString('\n')
			if err != nil || got != fmt.Sprintf("%d!\n", i) {
				t.Fatalf("%s: %q %v", url, got, err)
			}
			_, _ = fmt.Fprintf(pw, "%d\n", i+1)
		}
		_ = pw.Close()
		if got := readAll(t, lines); got != "5!\n" {
			t.Errorf("%s: the rest: %q", url, got)
		}
	}
}

// TestSmuggling: what a client writes into its request line or headers never becomes a request of its own.
func TestSmuggling(t *testing.T) {
	p := start(t)
	var seen atomic.Int64
	var strange atomic.Value
	b := app(t, "b-1", func(_ http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		if strings.Contains(r.RequestURI, "inner") && !strings.Contains(r.RequestURI, "%20") {
			strange.Store(r.Method + " " + r.RequestURI)
		}
	})
	publish(t, p, plain(serving("a.localhost", b)))
	for _, raw := range []string{
		"POST / HTTP/1.1\r\nHost: a.localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /inner HTTP/1.1\r\nHost: a.localhost\r\nX: ",
		"POST / HTTP/1.1\r\nHost: a.localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /inner HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a.localhost\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: +5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 5, 5\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: a.localhost\r\nX-A: 1\rX-B: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.localhost\r\n X-Folded: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.localhost\r\nHost: b.localhost\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 100\r\nConnection: Content-Length\r\n\r\n",
	} {
		c, err := net.Dial("tcp", p.HTTPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, raw)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.ReadAll(c)
		_ = c.Close()
	}
	if s := strange.Load(); s != nil {
		t.Errorf("the replica saw %v", s)
	}
}

func TestRequestTarget(t *testing.T) {
	for in, want := range map[string]string{"/a b HTTP/1.1": "/a%20b%20HTTP/1.1", "/ok?x=y z": "/ok?x=y%20z"} {
		r, err := http.NewRequest(http.MethodGet, "http://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RequestURI = in
		path, query, _ := strings.Cut(in, "?")
		r.URL.Path, r.URL.RawQuery = path, strings.ReplaceAll(query, " ", "%20")
		if got := requestTarget(r); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	r, _ := http.NewRequest(http.MethodGet, "http://h/", nil)
	for range 1000 {
		id := requestID(r)
		if b, err := hex.DecodeString(id); err != nil || len(b) != 16 || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
