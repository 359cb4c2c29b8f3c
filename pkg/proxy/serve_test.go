package proxy

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

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
	res := do(t, client(t, p), "GET", "https://a.localhost/", nil, "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "http", "X-Real-Ip", "6.6.6.6", "X-Request-Id", "my-own-id", "x-pandabox-job", "nightly")
	h := <-seen
	for k, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.localhost", "X-Real-Ip": "", "X-Pandabox-Job": "", "X-Request-Id": "my-own-id", "Host": "a.localhost",
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
