package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// memory is Storage in memory.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
	at map[string]time.Time
}

var _ Storage = (*memory)(nil)

func newMemory() *memory { return &memory{m: map[string][]byte{}, at: map[string]time.Time{}} }

func (s *memory) LoadBlob(key string) ([]byte, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.m[key]
	if !ok {
		return nil, time.Time{}, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return append([]byte(nil), b...), s.at[key], nil
}

func (s *memory) SaveBlob(key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key], s.at[key] = append([]byte(nil), value...), time.Now()
	return nil
}

func (s *memory) DeleteBlob(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.m {
		if k == key || strings.HasPrefix(k, key+"/") {
			delete(s.m, k)
		}
	}
	return nil
}

func (s *memory) ListBlobs(prefix string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for k := range s.m {
		if strings.HasPrefix(k, prefix) {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out, nil
}

// testWriter sends the log to the test as long as it runs: certmagic's jobs may end a little later.
type testWriter struct {
	t    testing.TB
	mu   sync.Mutex
	over bool
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// start runs a proxy on free ports of the loopback interface until the test ends.
func start(t testing.TB, change ...func(*Config)) *Proxy {
	t.Helper()
	log := &testWriter{t: t}
	t.Cleanup(log.end)
	cfg := Config{
		BaseDomain: "box.localhost", HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", Storage: newMemory(),
		ACME: ACME{Disabled: true}, Logger: zerolog.New(log).Level(zerolog.WarnLevel),
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return p
}

// app serves handler as a replica would and returns its backend.
func app(t testing.TB, name string, handler http.HandlerFunc) model.Backend {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return model.Backend{Name: name, Addr: netip.MustParseAddrPort(s.Listener.Addr().String())}
}

// hello answers every request with text.
func hello(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// serving is a route of host to backends.
func serving(host string, backends ...model.Backend) model.Route {
	return model.Route{Host: host, WorkloadID: "w-" + host, App: strings.Split(host, ".")[0], State: model.RouteServing, Backends: backends}
}

func publish(t testing.TB, p *Proxy, routes ...model.Route) {
	t.Helper()
	if err := p.Publish(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
}

// client reaches every host at the proxy and trusts its CA.
func client(t testing.TB, p *Proxy) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p.RootCA()) {
		t.Fatal("no root certificate")
	}
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		DialContext:       dialProxy(p),
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// dialProxy dials the proxy whatever the host: port 80 is its HTTP, all others are its HTTPS.
func dialProxy(p *Proxy) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		to := p.HTTPSAddr().String()
		if strings.HasSuffix(addr, ":80") {
			to = p.HTTPAddr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}

// fetch gets a URL and returns the status and the body.
func fetch(t testing.TB, c *http.Client, url string) (int, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return res.StatusCode, string(b)
}

// eventually polls until ok, generously.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
