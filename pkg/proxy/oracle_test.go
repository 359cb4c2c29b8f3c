package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// message is a request as a replica saw it, or an answer as a client saw it, without what may differ.
type message struct {
	Line    string // method and target, or the status
	Host    string
	Header  http.Header
	Body    string
	Trailer http.Header
	TE      []string
	Length  int64
	Info    []string // 1xx answers before
	Err     string
}

// ignored may differ from one proxy to another.
func ignored(h http.Header, more ...string) http.Header {
	out := http.Header{}
	for k, v := range h {
		if !slices.Contains(append(more, "Vary", "X-Request-Id", "Date", "X-Forwarded-Host", "X-Forwarded-For"), k) {
			out[k] = v
		}
	}
	return out
}

// oracleCase is one exchange, run through both proxies.
type oracleCase struct {
	name    string
	send    string                             // raw request; "HOST" is replaced
	handler http.HandlerFunc                   // the replica
	script  string                             // in place of handler: what the replica sends, whatever it was asked
	drop    []string                           // headers to ignore besides
	check   func(t *testing.T, got, _ message) // in place of comparing
	seen    func(t *testing.T, got, _ message) // in place of comparing what the replica saw
	framing bool                               // the answer's framing may differ: its whole body came in one piece
	cut     bool                               // the answer ends too early: compare only that it does
}

// get is a plain request.
const get = "GET /x?y=z HTTP/1.1\r\nHost: HOST\r\n\r\n"

func answer(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = io.WriteString(w, body)
		}
	}
}

var oracleCases = []oracleCase{
	{name: "plain", send: get, handler: answer(200, nil, "hello")},
	{name: "old client", send: "GET / HTTP/1.0\r\nHost: HOST\r\n\r\n", handler: answer(200, nil, "hello")},
	{name: "head", send: "HEAD / HTTP/1.1\r\nHost: HOST\r\n\r\n", handler: answer(200, map[string]string{"Content-Length": "77"}, "")},
	{name: "no content", send: get, handler: answer(204, nil, "")},
	{name: "not modified", send: get, handler: answer(304, map[string]string{"Etag": `"a"`}, "")},
	{name: "empty", send: get, handler: answer(200, map[string]string{"Content-Length": "0"}, "")},
	{name: "large", send: get, handler: answer(200, nil, strings.Repeat("0123456789abcdef", 64<<10))},
	{name: "reason is not kept", send: get, script: "HTTP/1.1 299 Quite Fine\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"},
	{name: "chunked answer", framing: true, send: get, handler: func(w http.ResponseWriter, _ *http.Request) {
		for i := range 5 {
			_, _ = fmt.Fprintf(w, "part %d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	}},
	{name: "answer until close", send: get, script: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end"},
	{name: "answer of HTTP/1.0", send: get, script: "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold"},
	{name: "trailers of an answer", send: "GET / HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\n\r\n", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	}},
	{name: "trailers unannounced", send: get, handler: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "body")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
	}},
	{name: "early hints", send: get, handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "after")
	}},
	{name: "post", send: "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello", handler: echo},
	{name: "post of nothing", send: "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n", handler: echo},
	{name: "post without length", send: "POST / HTTP/1.1\r\nHost: HOST\r\n\r\n", handler: echo},
	{name: "get with body", send: "GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello", handler: echo},
	{name: "delete", send: "DELETE /a HTTP/1.1\r\nHost: HOST\r\n\r\n", handler: echo},
	{name: "put large", send: "PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000), handler: echo},
	{name: "chunked request", send: "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", handler: echo},
	{name: "chunked request with trailers", send: "POST / HTTP/1.1\r\nHost: HOST\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n", handler: echo, seen: func(t *testing.T, got, _ message) {
		if got.Trailer.Get("X-Sum") != "7" || got.Body != "hello" { // httputil.ReverseProxy loses them
			t.Errorf("got %+v", got)
		}
	}},
	{name: "expect continue", send: "POST / HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", handler: echo, seen: func(t *testing.T, got, _ message) {
		if got.Body != "hello" || got.Header.Get("Expect") != "" { // the client has been told to go on already
			t.Errorf("got %+v", got)
		}
	}},
	{name: "both length and chunked", send: "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", handler: echo},
	{name: "two lengths that differ", send: "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello", handler: echo},
	{name: "unknown coding", send: "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", handler: echo},
	{name: "space before colon", send: "GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length : 3\r\n\r\nabc", handler: echo},
	{name: "hop by hop", send: "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: x\r\nTE: gzip\r\nX-Kept: 1\r\n\r\n", handler: echo},
	{name: "hop by hop of an answer", send: get, script: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok"},
	{name: "repeated headers", send: "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n", handler: echo},
	{name: "repeated headers of an answer", send: get, script: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"},
	{name: "forwarding is not believed", send: "GET / HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6\r\n\r\n", handler: echo},
	{name: "escaped target", send: "GET /a%2Fb/%E4?q=%20+&x HTTP/1.1\r\nHost: HOST\r\n\r\n", handler: echo},
	{name: "dots in target", send: "GET /a/../b//c HTTP/1.1\r\nHost: HOST\r\n\r\n", handler: echo},
	{name: "absolute target", send: "GET http://HOST/abs?q HTTP/1.1\r\nHost: HOST\r\n\r\n", handler: echo},
	{name: "no user agent", send: get, handler: echo},
	{name: "user agent", send: "GET / HTTP/1.1\r\nHost: HOST\r\nUser-Agent: curl/8\r\nAccept-Encoding: identity\r\n\r\n", handler: echo},
	{name: "early answer", send: "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000),
		handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, drop: []string{"Connection"}},
	{name: "answer ends too early", send: get, script: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nshort", cut: true},
	{name: "chunks end too early", send: get, script: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", cut: true},
	{name: "not HTTP", send: get, script: "SSH-2.0-OpenSSH_9\r\n", check: isBadGateway},
	{name: "nothing", send: get, script: " ", check: isBadGateway},
	{name: "lengths that differ", send: get, script: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello", check: isBadGateway},
	{name: "switches unasked", send: get, script: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", check: isBadGateway},
	{name: "answer with both lengths", framing: true, send: get, script: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{name: "upgrade with a body", send: "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello", handler: echo,
		seen: func(t *testing.T, got, _ message) {
			if got.Body != "hello" || got.Header.Get("Upgrade") != "" { // httputil.ReverseProxy passes the wish on
				t.Errorf("got %+v", got)
			}
		}},
	{name: "upgrade refused", send: "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", handler: answer(403, nil, "no")},
}

func isBadGateway(t *testing.T, got, _ message) {
	if !strings.HasPrefix(got.Line, "502 ") || got.Body == "" {
		t.Errorf("got %+v, want a page with 502", got)
	}
}

// echo answers with nothing in particular; what matters is what it saw.
func echo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusOK)
}

// TestLikeReverseProxy runs each case through this proxy and through httputil.ReverseProxy, which years of use have
// made right: the replica has to see the same request and the client the same answer.
func TestLikeReverseProxy(t *testing.T) {
	p := start(t)
	for _, tt := range oracleCases {
		t.Run(tt.name, func(t *testing.T) {
			backend, seen := replica(t, tt)
			r := serving("case.localhost", backend)
			r.TLS = model.TLSOff
			publish(t, p, r)
			tr := &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Second}
			defer tr.CloseIdleConnections()
			oracle := httptest.NewServer(&httputil.ReverseProxy{
				Rewrite: func(pr *httputil.ProxyRequest) {
					pr.SetURL(&url.URL{Scheme: "http", Host: backend.Addr.String()})
					pr.Out.Host = pr.In.Host
					pr.SetXForwarded()
				},
				Transport: tr,
				ErrorLog:  log.New(io.Discard, "", 0), FlushInterval: -1,
			})
			defer oracle.Close()

			want := converse(t, oracle.Listener.Addr().String(), tt)
			wantSeen := seen()
			got := converse(t, p.HTTPAddr().String(), tt)
			gotSeen := seen()
			if tt.check != nil {
				tt.check(t, got, want)
				return
			}
			if tt.cut {
				if got.Err == "" || want.Err == "" {
					t.Errorf("cut answer:\n got %+v\nwant %+v", got, want)
				}
				return
			}
			if tt.framing {
				got.Header.Del("Content-Length")
				got.TE, got.Length, want.TE, want.Length = nil, 0, nil, 0
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the client sees\n %+v\nwant\n %+v", short(got), short(want))
			}
			if tt.seen != nil {
				tt.seen(t, gotSeen, wantSeen)
				return
			}
			if !reflect.DeepEqual(gotSeen, wantSeen) {
				t.Errorf("the replica sees\n %+v\nwant\n %+v", short(gotSeen), short(wantSeen))
			}
		})
	}
}

func short(m message) message {
	if len(m.Body) > 100 {
		m.Body = fmt.Sprintf("%s… (%d)", m.Body[:100], len(m.Body))
	}
	return m
}

// replica serves a case and returns what it saw last.
func replica(t *testing.T, tt oracleCase) (model.Backend, func() message) {
	t.Helper()
	var mu sync.Mutex
	var last message
	if tt.script != "" {
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
					if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						_, _ = io.WriteString(c, strings.TrimLeft(tt.script, " "))
					}
				}()
			}
		}()
		return model.Backend{Name: "r", Addr: netip.MustParseAddrPort(ln.Addr().String())}, func() message { return message{} }
	}
	b := app(t, "r", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if !strings.HasPrefix(tt.name, "early answer") {
			_, _ = io.Copy(&body, r.Body)
		}
		mu.Lock()
		last = message{Line: r.Method + " " + r.RequestURI + " " + r.Proto, Host: r.Host, Header: ignored(r.Header), Body: body.String(),
			Trailer: r.Trailer, TE: r.TransferEncoding, Length: r.ContentLength}
		mu.Unlock()
		tt.handler(w, r)
	})
	return b, func() message {
		mu.Lock()
		defer mu.Unlock()
		m := last
		last = message{}
		return m
	}
}

// converse sends a case's request and reads the answer.
func converse(t *testing.T, addr string, tt oracleCase) message {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	raw := strings.ReplaceAll(tt.send, "HOST", "case.localhost")
	go func() { _, _ = io.WriteString(c, raw) }()
	method, _, _ := strings.Cut(raw, " ")
	br := bufio.NewReader(c)
	var m message
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			m.Err = err.Error()
			return m
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			if res.StatusCode != http.StatusContinue {
				m.Info = append(m.Info, fmt.Sprint(res.StatusCode, ignored(res.Header)))
			}
			continue
		}
		body, err := io.ReadAll(res.Body)
		m.Line, m.Header, m.Body, m.Trailer = res.Status, ignored(res.Header, tt.drop...), string(body), res.Trailer
		m.TE, m.Length = res.TransferEncoding, res.ContentLength
		if err != nil {
			m.Err = err.Error()
		}
		return m
	}
}
