package reconcile

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "shop.test" || r.Method != http.MethodGet {
				t.Errorf("asked %s %s of %s", r.Method, r.URL, r.Host)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		path    string
		want    string // how it is, or "!" and what is wrong
	}{
		{"path answers", answer(200), "/health", "healthy on /health"},
		{"path redirects", answer(302), "/health", "healthy on /health"},
		{"path is not there", answer(404), "/health", "!/health answered 404"},
		{"path wants a password", answer(401), "/health", "!/health answered 401"},
		{"path fails", answer(503), "/health", "!/health answered 503"},
		{"up answers", answer(204), "", "healthy on /up"},
		{"up is not there", answer(404), "", "port open"},
		{"up wants a password", answer(401), "", "port open"},
		{"up fails", answer(500), "", "!/up answered 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := ""
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked += r.URL.Path
				tt.handler(w, r)
			}))
			defer srv.Close()
			got := probe(t, srv.Listener, tt.path, 10*time.Second)
			if got != tt.want {
				t.Errorf("said %q, want %q", got, tt.want)
			}
			want := tt.path
			if want == "" {
				want = "/up"
			}
			if asked != want {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestProbeOfWhatIsNotHTTP(t *testing.T) {
	tests := []struct {
		name   string
		handle func(net.Conn)
		path   string
		want   string
	}{
		{"greets", func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.test ESMTP\r\n") }, "", "port open"},
		{"hangs up", func(net.Conn) {}, "", "port open"},
		{"hangs up, with a path", func(net.Conn) {}, "/up", "!no HTTP answer on /up: "},
		{"says nothing", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "", "!no answer on /up in time"},
		{"says half", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"); _, _ = io.Copy(io.Discard, c) }, "", "!no answer on /up in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					tt.handle(c)
					_ = c.Close()
				}
			}()
			timeout := 10 * time.Second
			if strings.HasSuffix(tt.want, "in time") {
				timeout = 100 * time.Millisecond
			}
			if got := probe(t, l, tt.path, timeout); !strings.HasPrefix(got, tt.want) {
				t.Errorf("said %q, want %q", got, tt.want)
			}
			_ = l.Close()
			<-done
			if got := probe(t, l, tt.path, 10*time.Second); !strings.HasPrefix(got, "!nothing listens on port ") {
				t.Errorf("of a closed port said %q", got)
			}
		})
	}
}

// probe returns how the prober finds a listener, the port left out, or "!" and what is wrong.
func probe(t *testing.T, l net.Listener, path string, timeout time.Duration) string {
	t.Helper()
	addr := netip.MustParseAddrPort(l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	how, err := NetProber{}.Probe(ctx, Check{Addr: addr, Path: path, Host: "shop.test"})
	if err != nil {
		return "!" + err.Error()
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return strings.Replace(how, "port "+port, "port", 1)
}
