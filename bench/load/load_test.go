package load

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestLoadCountsWhatFails(t *testing.T) {
	var n atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" && n.Add(1) == 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = io.WriteString(w, "ok")
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	addr := srv.Listener.Addr().String()
	l := Start(roots, []Kind{
		{Name: "h1", URL: "https://example.com/", Addr: addr, Workers: 2, Want: "ok"},
		{Name: "h1 fresh", URL: "https://example.com/", Addr: addr, Fresh: true, Workers: 1, Want: "ok"},
		{Name: "h2", URL: "https://example.com/bad", Addr: addr, HTTP2: true, Workers: 1, Want: "ok"},
	})
	for deadline := time.Now().Add(time.Minute); l.Requests() < 200 || n.Load() < 10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests in a minute", l.Requests())
		}
	}
	failed, first := l.Stop()
	if failed != 1 || len(first) != 1 || first[0] != `h2: 502 Bad Gateway "ok"` {
		t.Fatalf("%d failed: %q", failed, first)
	}
}
