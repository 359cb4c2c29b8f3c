package proxy

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// exchange is one request on its way and what is known of its answer.
type exchange struct {
	p       *Proxy
	w       http.ResponseWriter
	r       *http.Request
	route   *route
	backend *backend // the last that was tried
	kind    kind
	small   []byte // the body, where it was small enough to be read whole
	began   time.Time
	reqID   string
	past    []string // workloads whose middleware has passed the request on
	plain   bool     // the answer is for a function that passed the request on: it is not compressed
	status  int      // of the answer; 0 as long as none has been begun
	bytes   int64    // of answer body
}

// serve answers one request.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	delete(w.Header(), "Server") // Caddy's; an app's own passes
	x := &exchange{p: p, w: w, r: r}
	if p.access.on() {
		x.began = time.Now()
		defer x.report()
	}
	if r.TLS == nil && r.ProtoMajor != 1 {
		x.show(pageNoHTTP2)
		return
	}
	host := hostOf(r.Host)
	x.route = x.find(host)
	if x.route == nil {
		if x.route = x.inside(host); x.route != nil {
			x.serveApp(host)
			return
		}
		x.serveBox(host)
		return
	}
	switch {
	case r.TLS == nil && x.route.TLS != model.TLSOff:
		x.redirect(host)
		return
	case r.TLS != nil && x.route.TLS == model.TLSOff:
		x.show(pageMisdirect)
		return
	}
	if x.ready() {
		x.serveApp(host)
	}
}

// find returns the route for the request, or nil: of its path where its host has paths, else of the host.
func (x *exchange) find(host string) *route {
	t := x.p.table.Load()
	whole := t.find(host)
	if len(t.paths) == 0 {
		return whole
	}
	if r := t.pathOf(host, whole, x.r.URL, x.past); r != nil {
		return r
	}
	return whole
}

// ready tells whether the route serves, and says what it does instead if it does not.
func (x *exchange) ready() bool {
	switch x.route.State {
	case model.RouteServing:
		return true
	case model.RouteStarting:
		x.show(pageStarting)
	case model.RouteStopped:
		x.show(pageStopped)
	default:
		x.show(pageDown)
	}
	return false
}

// serveBox answers what is not an app's: the control API, or nothing.
func (x *exchange) serveBox(host string) {
	p, r := x.p, x.r
	_, ipErr := netip.ParseAddr(host)
	if p.cfg.APIHandler == nil || (host != p.cfg.BaseDomain && host != "localhost" && ipErr != nil) {
		x.show(pageUnknown)
		return
	}
	if r.TLS == nil && !loopback(r.RemoteAddr) {
		x.redirect(host)
		return
	}
	p.api.inflight.Add(1)
	defer p.api.release()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c := &cutContext{cancel}
	p.api.track(c)
	defer p.api.untrack(c)
	if !x.p.access.on() {
		p.cfg.APIHandler.ServeHTTP(x.w, r.WithContext(ctx))
		return
	}
	p.cfg.APIHandler.ServeHTTP(&recorder{ResponseWriter: x.w, x: x}, r.WithContext(ctx))
}

// cutContext cuts a request by ending its context.
type cutContext struct{ cancel context.CancelFunc }

func (c *cutContext) cut() { c.cancel() }

// recorder notes what a handler answered.
type recorder struct {
	http.ResponseWriter
	x *exchange
}

// Unwrap lets http.ResponseController reach what the writer can do besides.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.x.status == 0 && status >= 200 {
		w.x.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.x.status == 0 {
		w.x.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.x.bytes += int64(n)
	return n, err
}

func loopback(remote string) bool {
	a, err := netip.ParseAddrPort(remote)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// redirect sends a client to the same place over HTTPS: with 308, which keeps the method and the body, except for
// GET and HEAD, where old clients know only 301.
func (x *exchange) redirect(host string) {
	target := host
	if strings.Contains(host, ":") {
		target = "[" + host + "]"
	}
	if port := x.p.HTTPSAddr().Port(); port != 443 {
		target = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	status := http.StatusPermanentRedirect
	if x.r.Method == http.MethodGet || x.r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	h := x.w.Header()
	h["Location"] = []string{"https://" + target + x.r.URL.RequestURI()}
	h["Content-Length"] = []string{"0"}
	if x.r.ContentLength != 0 {
		h["Connection"] = []string{"close"}
	}
	x.status = status
	x.w.WriteHeader(status)
}

// id returns the request's id.
func (x *exchange) id() string {
	if x.reqID == "" {
		x.reqID = requestID(x.r)
	}
	return x.reqID
}

// report writes the access log.
func (x *exchange) report() {
	e := AccessEntry{
		At: x.began.UTC(), Duration: time.Since(x.began), RequestID: x.id(), RemoteIP: remoteIP(x.r), Proto: x.r.Proto,
		Method: x.r.Method, Host: hostOf(x.r.Host), Path: x.r.URL.Path, Status: x.status, Bytes: x.bytes, UserAgent: x.r.UserAgent(),
	}
	if x.route != nil {
		e.WorkloadID, e.App = x.route.WorkloadID, x.route.App
	}
	if x.backend != nil {
		e.Backend = x.backend.Name
	}
	x.p.access.add(e)
}
