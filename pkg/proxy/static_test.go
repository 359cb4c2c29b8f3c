package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// sites answers with what Serve of a backend's name says.
type sites map[string]http.HandlerFunc

func (s sites) Serve(name string, w http.ResponseWriter, r *http.Request) { s[name](w, r) }

func withSites(s sites) func(*Config) { return func(c *Config) { c.Sites = s } }

func siteRoute(host, name string) model.Route {
	return model.Route{Host: host, WorkloadID: "w-" + name, App: name, TLS: model.TLSOff, State: model.RouteServing, Backends: []model.Backend{{Name: name, Static: true}}}
}

func TestSites(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 3<<20/16)
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, large, 0o600); err != nil {
		t.Fatal(err)
	}
	var log []AccessEntry
	logged := make(chan AccessEntry, 10)
	p := start(t, withSites(sites{"site": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			http.ServeFile(w, r, file)
			return
		}
		_, _ = fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}}), func(c *Config) { c.AccessLog = func(e AccessEntry) { logged <- e } })
	publish(t, p, siteRoute("site.example.com", "site"))
	c := client(t, p)
	if status, body := fetch(t, c, "http://site.example.com/a"); status != http.StatusOK || body != "GET /a" {
		t.Errorf("it answers %d %q", status, body)
	}
	if status, body := fetch(t, c, "http://site.example.com/large"); status != http.StatusOK || body != string(large) {
		t.Errorf("a large file is answered %d with %d bytes", status, len(body))
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://site.example.com/large", nil)
	req.Header.Set("Range", "bytes=1000000-1999999")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	part, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusPartialContent || !bytes.Equal(part, large[1000000:2000000]) {
		t.Errorf("a part is answered %d with %d bytes, %v", res.StatusCode, len(part), err)
	}
	res, err = c.Post("http://site.example.com/form", "text/plain", strings.NewReader(strings.Repeat("x", 10_000)))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "POST /form" {
		t.Errorf("with a body it answers %q, %v", body, err)
	}
	_ = res.Body.Close()
	for range 4 {
		log = append(log, <-logged)
	}
	if log[1].Bytes != int64(len(large)) || log[1].Backend != "site" || log[1].Status != http.StatusOK || log[2].Bytes != 1_000_000 {
		t.Errorf("the log has %+v", log)
	}
}

// TestSiteDrains: what a client still takes is waited for, and cut in the end.
func TestSiteDrains(t *testing.T) {
	began := make(chan struct{})
	p := start(t, withSites(sites{"site": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(1<<30))
		close(began)
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<30))
	}}))
	publish(t, p, siteRoute("site.example.com", "site"))
	conn, err := net.Dial("tcp", p.HTTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: site.example.com\r\n\r\n")
	<-began // and read nothing more
	publish(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	before := time.Now()
	if err := p.Drain(ctx, []string{"site"}); err == nil || time.Since(before) > cutGrace {
		t.Errorf("draining ended with %v after %s", err, time.Since(before))
	}
	if n := p.named([]string{"site"}); len(n) == 1 && n[0].inflight.Load() != 0 {
		t.Error("the request was not cut")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestNoHTTP2WithoutTLS(t *testing.T) {
	p := start(t, withSites(sites{"site": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }}))
	publish(t, p, siteRoute("site.example.com", "site"))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &protocols}
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.HTTPAddr().String()+"/", nil)
	req.Host = "site.example.com"
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("it answers %d", res.StatusCode)
	}
}
