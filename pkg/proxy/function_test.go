package proxy

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// functions answers for functions by their names.
type functions map[string]func(w http.ResponseWriter, r *http.Request, next http.Handler)

var _ Functions = functions{}

func (f functions) Serve(name string, w http.ResponseWriter, r *http.Request, next http.Handler) {
	f[name](w, r, next)
}

func with(f functions) func(*Config) { return func(c *Config) { c.Functions = f } }

// on is the route of a function's path on a host; the function's name is its workload's.
func on(host, path, name string) model.Route {
	return model.Route{Host: host, Path: path, WorkloadID: name, App: name, State: model.RouteServing, Backends: []model.Backend{{Name: name, Function: true}}}
}

func says(text string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, text) }
}

func TestPathsOfAnApp(t *testing.T) {
	p := start(t, with(functions{"api": says("the function"), "deep": says("deeper")}))
	shop := app(t, "shop-1", hello("the shop"))
	publish(t, p, serving("shop.localhost", shop), on("shop.localhost", "/api/*", "api"), on("shop.localhost", "/api/deep", "deep"), on("api.localhost", "", "api"))
	c := client(t, p)
	for url, want := range map[string]string{
		"https://shop.localhost/": "the shop", "https://shop.localhost/apis": "the shop", "https://shop.localhost/api": "the function",
		"https://shop.localhost/api/x?y=z": "the function", "https://shop.localhost/api/deep": "deeper", "https://shop.localhost/x/..%2fapi/": "the function",
		"https://api.localhost/whatever": "the function",
	} {
		if status, body := fetch(t, c, url); status != http.StatusOK || body != want {
			t.Errorf("%s answers %d %q, want %q", url, status, body, want)
		}
	}
	down := serving("shop.localhost")
	down.State = model.RouteDown
	publish(t, p, down, on("shop.localhost", "/api/*", "api"))
	if status, _ := fetch(t, c, "https://shop.localhost/"); status != http.StatusServiceUnavailable {
		t.Errorf("the app that is down answers %d", status)
	}
	if status, body := fetch(t, c, "https://shop.localhost/api"); status != http.StatusOK || body != "the function" {
		t.Errorf("its function answers %d %q", status, body)
	}
	if res := do(t, c, "GET", "http://shop.localhost/api", nil); res.StatusCode != http.StatusMovedPermanently {
		t.Errorf("over HTTP it answers %d", res.StatusCode)
	}
}

func TestConflictsOfPaths(t *testing.T) {
	p := start(t, with(functions{"api": says("first"), "rival": says("second")}))
	err := p.Publish(t.Context(), []model.Route{serving("a.localhost"), on("a.localhost", "/api/*", "api"), on("a.localhost", "/api/*", "rival"), on("a.localhost", "api", "rival"), on("box.localhost", "/x", "rival")})
	for _, want := range []string{"a.localhost/api/* is routed twice", "api has it, rival wants it too", `"api" is not a path`, "box.localhost belongs to the box"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, body := fetch(t, client(t, p), "https://a.localhost/api/"); body != "first" {
		t.Errorf("it answers %q", body)
	}
}

// TestAFunctionSeesWhatAReplicaSees compares the request a function is given with the one a replica gets.
func TestAFunctionSeesWhatAReplicaSees(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]http.Header{}
	see := func(who string, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[who] = r.Header.Clone()
		seen[who].Set("Host", r.Host)
	}
	p := start(t, with(functions{"f": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		see("function", r)
		if !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") {
			t.Errorf("the client is %s", r.RemoteAddr)
		}
	}}))
	replica := app(t, "r-1", func(_ http.ResponseWriter, r *http.Request) { see("replica", r) })
	publish(t, p, plain(serving("a.localhost", replica)), plain(on("a.localhost", "/f", "f")))
	c := client(t, p)
	for _, url := range []string{"http://a.localhost/f", "http://a.localhost/r"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{
			"X-Forwarded-For": {"6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "X-Forwarded-Proto": {"gopher"}, "X-Own": {"1", "2"},
			"Connection": {"x-private"}, "X-Private": {"1"}, "Keep-Alive": {"1"}, "X-Request-Id": {"0123456789abcdef"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"t"},
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	if got, want := fmt.Sprint(seen["function"]), fmt.Sprint(seen["replica"]); got != want || !strings.Contains(got, "X-Forwarded-For:[127.0.0.1]") {
		t.Errorf("the function sees %s\nthe replica sees %s", got, want)
	}
}

func TestBodiesAndAnswersOfFunctions(t *testing.T) {
	p := start(t, with(functions{
		"sum": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				http.Error(w, "reading failed", http.StatusInternalServerError)
				return
			}
			_, _ = fmt.Fprint(w, n)
		},
		"long": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Connection", "x-private")
			w.Header().Set("X-Private", "1")
			_, _ = io.WriteString(w, strings.Repeat("long ", 10_000))
		},
		"bare":   func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, "<html>") },
		"silent": func(http.ResponseWriter, *http.Request, http.Handler) {},
		"aborts": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
			panic(http.ErrAbortHandler)
		},
	}))
	small := on("small.localhost", "", "sum")
	small.Limits.MaxBody = 1000
	headed := on("long.localhost", "", "long")
	headed.Limits.Headers = map[string]string{"X-Frame-Options": "DENY"}
	publish(t, p, on("sum.localhost", "", "sum"), small, headed, on("bare.localhost", "", "bare"), on("silent.localhost", "", "silent"), on("aborts.localhost", "", "aborts"))
	c := client(t, p)
	post := func(host string, body io.Reader) (int, string) {
		res := do(t, c, "POST", "https://"+host+"/", body)
		defer func() { _ = res.Body.Close() }()
		got, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(got)
	}
	for _, n := range []int{0, 5, 300_000} {
		if status, body := post("sum.localhost", strings.NewReader(strings.Repeat("x", n))); status != 200 || body != fmt.Sprint(n) {
			t.Errorf("%d bytes: %d %q", n, status, body)
		}
	}
	if status, _ := post("small.localhost", strings.NewReader(strings.Repeat("x", 1001))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large a body: %d", status)
	}
	if status, _ := post("small.localhost", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001)))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large a body of unknown length: %d", status)
	}
	if status, body := post("small.localhost", strings.NewReader(strings.Repeat("x", 1000))); status != 200 || body != "1000" {
		t.Errorf("a body just as large as may be: %d %q", status, body)
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://long.localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("X-Frame-Options") != "DENY" || res.Header.Get("X-Private") != "" {
		t.Errorf("its header is %v", res.Header)
	}
	unzipped, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(unzipped); err != nil || len(got) != 50_000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if res := do(t, c, "GET", "https://bare.localhost/", nil); res.Header.Get("Content-Type") != "" {
		t.Errorf("a content type was guessed: %q", res.Header.Get("Content-Type"))
	}
	if res := do(t, c, "GET", "https://silent.localhost/", nil); res.StatusCode != http.StatusBadGateway {
		t.Errorf("no answer at all is %d", res.StatusCode)
	}
	broken := do(t, c, "GET", "https://aborts.localhost/", nil)
	if _, err := io.ReadAll(broken.Body); err == nil {
		t.Error("an answer that was broken off looks whole")
	}
}

func TestStreamsOfFunctions(t *testing.T) {
	more := make(chan struct{})
	p := start(t, with(functions{"stream": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_, _ = io.WriteString(w, "data: x\n\n")
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			select {
			case <-more:
			case <-r.Context().Done():
				return
			}
		}
	}}))
	publish(t, p, on("s.localhost", "", "stream"))
	res := do(t, client(t, p), "GET", "https://s.localhost/", nil)
	in := bufio.NewReader(res.Body)
	for range 3 {
		if line, err := in.ReadString('\n'); err != nil || line != "data: x\n" {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = in.ReadString('\n')
		more <- struct{}{}
	}
	publish(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Drain(ctx, []string{"stream"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("draining: %v", err)
	}
	if _, err := io.ReadAll(in); err == nil {
		t.Error("the client was not told that the stream was cut")
	}
	if err := p.Drain(t.Context(), []string{"stream"}); err != nil {
		t.Errorf("draining again: %v", err)
	}
}

// TestFunctionsAreSwappedUnderLoad replaces a function again and again while clients ask without pause: none fails, and
// once drained the old one is never called again.
func TestFunctionsAreSwappedUnderLoad(t *testing.T) {
	const versions = 40
	f, gone := functions{}, make([]atomic.Bool, versions)
	for i := range versions {
		f[fmt.Sprint("v", i)] = func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			if gone[i].Load() {
				t.Errorf("v%d is called after it was drained", i)
			}
			_, _ = io.Copy(w, r.Body)
		}
	}
	p := start(t, with(f))
	shop := app(t, "shop-1", hello("the shop"))
	table := func(i int) []model.Route {
		r := on("shop.localhost", "/api/*", "api")
		r.Backends[0].Name = fmt.Sprint("v", i)
		return []model.Route{plain(serving("shop.localhost", shop)), plain(r)}
	}
	publish(t, p, table(0)...)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var done atomic.Int64
	for range 4 {
		clients.Go(func() {
			c := client(t, p)
			for ctx.Err() == nil {
				res, err := c.Post("http://shop.localhost/api/x", "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK || string(body) != "hello" || err != nil {
					t.Errorf("%d %q %v", res.StatusCode, body, err)
				}
				done.Add(1)
			}
		})
	}
	for i := 1; i < versions; i++ {
		next := table(i)
		if i%2 == 0 {
			publish(t, p, next...)
		} else if err := p.Patch(t.Context(), next[1:]); err != nil {
			t.Fatal(err)
		}
		if err := p.Drain(t.Context(), []string{fmt.Sprint("v", i-1)}); err != nil {
			t.Error(err)
		}
		gone[i-1].Store(true)
		before := done.Load()
		eventually(t, "more requests", func() bool { return done.Load() > before+5 })
	}
	stop()
	clients.Wait()
}

// TestFunctionsInside: a name below .internal is answered to whom the box says, over plain HTTP, and to nobody else.
func TestFunctionsInside(t *testing.T) {
	var allowed atomic.Bool
	f := functions{"w-v1-g1-web-1": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = fmt.Fprintf(w, "%s for %s", r.Host, r.Header.Get("X-Forwarded-For"))
	}}
	p := start(t, with(f), func(c *Config) {
		c.Inside = func(_ context.Context, client netip.Addr, host string) model.Backend {
			if !allowed.Load() || host != "api.internal" || client != netip.MustParseAddr("127.0.0.1") {
				return model.Backend{}
			}
			return model.Backend{Name: "w-v1-g1-web-1", Function: true}
		}
	})
	c := client(t, p)
	if status, _ := fetch(t, c, "http://api.internal/"); status != http.StatusNotFound {
		t.Errorf("a stranger gets %d", status)
	}
	allowed.Store(true)
	if status, body := fetch(t, c, "http://api.internal/x"); status != http.StatusOK || body != "api.internal for 127.0.0.1" {
		t.Errorf("a neighbour gets %d %q", status, body)
	}
	if status, _ := fetch(t, c, "http://other.internal/"); status != http.StatusNotFound {
		t.Errorf("another name gets %d", status)
	}
}

// BenchmarkFunction is one request to a function, from the client's bytes to the answer's.
func BenchmarkFunction(b *testing.B) {
	p := start(b, with(functions{"f": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header()["Content-Type"], w.Header()["Content-Length"] = []string{"text/plain"}, []string{"11"}
		_, _ = io.WriteString(w, "hello world")
	}}))
	publish(b, p, plain(on("f.localhost", "", "f")))
	conn, err := net.Dial("tcp", p.HTTPAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for b.Loop() {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: f.localhost\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}
