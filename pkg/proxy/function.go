package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/pandabox/pandabox/pkg/model"
)

// byFunction tells whether the route's backends are functions.
func (x *exchange) byFunction() bool {
	return len(x.route.backends) > 0 && x.route.backends[0].Function
}

// byContainer tells whether the route's backends are neither functions nor sites.
func (x *exchange) byContainer() bool {
	return len(x.route.backends) == 0 || x.route.backends[0].Addr.IsValid()
}

// function has a function answer the request.
func (x *exchange) function(b *backend) {
	functions := x.p.cfg.Functions
	if functions == nil {
		x.show(pageDown)
		return
	}
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	c := &cutFunction{cancel: cancel}
	b.track(c)
	defer b.untrack(c)

	r, u := x.r.WithContext(ctx), *x.r.URL
	r.URL, r.Header = &u, x.functionHeader()
	var in *bodyReader
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		if r.ProtoMajor == 1 {
			_ = http.NewResponseController(x.w).EnableFullDuplex() // or answering would eat what is left of the body
		}
		in = newBodyReader(x)
		defer in.unguard()
		r.Body = functionBody{in, x.r.Body}
	}
	w := &functionWriter{x: x, in: in, out: clientWriter{x: x, h2: x.r.ProtoMajor == 2}}
	var next http.Handler
	if x.route.Middleware {
		next = &nextHandler{x: x}
	}
	functions.Serve(b.Name, w, r, next)
	if c.was.Load() && !w.discard {
		x.fail(errCut)
		return
	}
	w.end()
}

// cutFunction cuts a request to a function by ending its context.
type cutFunction struct {
	cancel context.CancelFunc
	was    atomic.Bool
}

func (c *cutFunction) cut() {
	c.was.Store(true)
	c.cancel()
}

// inside returns the route of a name below .internal for a container that may use it, or nil. The host of functions
// itself waits for such requests when the function is removed.
func (x *exchange) inside(host string) *route {
	if x.p.cfg.Inside == nil || x.r.TLS != nil || !strings.HasSuffix(host, ".internal") {
		return nil
	}
	from, err := netip.ParseAddrPort(x.r.RemoteAddr)
	if err != nil {
		return nil
	}
	b := x.p.cfg.Inside(x.r.Context(), from.Addr().Unmap(), host)
	if b.Name == "" {
		return nil
	}
	r, _ := newRoute(&model.Route{App: host, State: model.RouteServing, Backends: []model.Backend{b}}, host, newBackend)
	return r
}

// functionHeader returns the request's header as a function is to see it: what a replica gets.
func (x *exchange) functionHeader() http.Header {
	r := x.r
	drop := connectionTokens(r.Header)
	h := make(http.Header, len(r.Header)+4)
	for k, v := range r.Header {
		if hopByHop(k) || forwarding(k) || drop[k] {
			continue
		}
		h[k] = v
	}
	if x.kind == kindUpgrade {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, r.Header["Upgrade"] // for next
	}
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	own := []string{remoteIP(r), r.Host, proto, x.id()}
	h["X-Forwarded-For"], h["X-Forwarded-Host"] = own[0:1:1], own[1:2:2]
	h["X-Forwarded-Proto"], h["X-Request-Id"] = own[2:3:3], own[3:4:4]
	return h
}

// functionBody is a request's body as a function reads it.
type functionBody struct {
	*bodyReader
	body io.Closer
}

// Close implements io.Closer.
func (b functionBody) Close() error { return b.body.Close() }

// functionWriter passes a function's answer on as answer does a replica's.
type functionWriter struct {
	x       *exchange
	in      *bodyReader // nil: no body
	out     clientWriter
	how     string // of compression
	enc     encoder
	discard bool // something else was answered in its place
}

var (
	_ http.ResponseWriter                       = (*functionWriter)(nil)
	_ interface{ FlushError() error }           = (*functionWriter)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*functionWriter)(nil)
)

// Header implements http.ResponseWriter.
func (w *functionWriter) Header() http.Header { return w.x.w.Header() }

// Unwrap lets http.ResponseController reach what the writer can do besides: switching protocols, behind next.
func (w *functionWriter) Unwrap() http.ResponseWriter { return w.x.w }

// WriteHeader implements http.ResponseWriter.
func (w *functionWriter) WriteHeader(status int) {
	x, h := w.x, w.x.w.Header()
	switch {
	case x.status != 0:
		return
	case status < 200:
		x.w.WriteHeader(status)
		return
	case w.in != nil && errors.Is(w.in.err, errTooLarge):
		w.discard = true
		x.show(pageTooLarge)
		return
	}
	drop := connectionTokens(h)
	for k := range h {
		if hopByHop(k) && k != "Trailer" || drop[k] {
			delete(h, k)
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	for _, kv := range x.route.headers {
		h[kv[0]] = []string{kv[1]}
	}
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	if w.how = x.compression(status, length, h); w.how != "" {
		w.enc = x.p.pools.encoder(w.how, &w.out)
	}
	x.status = status
	x.w.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *functionWriter) Write(p []byte) (int, error) {
	if w.x.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.discard {
		return len(p), nil
	}
	if w.out.rc == nil && len(p) > 4<<10 {
		w.out.rc = http.NewResponseController(w.x.w)
	}
	if w.enc != nil {
		return w.enc.Write(p)
	}
	return w.out.Write(p)
}

// FlushError sends what was written so far.
func (w *functionWriter) FlushError() error {
	if w.x.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.discard {
		return nil
	}
	if w.enc != nil {
		if err := w.enc.Flush(); err != nil {
			return err
		}
	}
	if w.out.rc == nil {
		w.out.rc = http.NewResponseController(w.x.w)
	}
	return w.out.flush()
}

// end completes the answer.
func (w *functionWriter) end() {
	defer w.out.clear()
	if w.enc != nil {
		err := w.enc.Close()
		w.x.p.pools.release(w.how, w.enc)
		if err != nil {
			panic(http.ErrAbortHandler) // the client does not read on
		}
	}
	if w.x.status == 0 {
		w.x.fail(errNoAnswer)
	}
}
