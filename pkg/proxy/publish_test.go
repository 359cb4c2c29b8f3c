package proxy

import (
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
