package proxy

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

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
