package proxy

import "net/http"

// nextHandler is what a request would have met without the function it was given to: the next path of the host that is
// another function's, or else the host's own app.
type nextHandler struct{ x *exchange }

var _ http.Handler = (*nextHandler)(nil)

// ServeHTTP implements http.Handler. The host is the request's own whatever r says; its path counts as it is now.
func (n *nextHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := n.x
	out := *r
	out.Host, out.RemoteAddr, out.TLS, out.Proto, out.ProtoMajor, out.ProtoMinor = x.r.Host, x.r.RemoteAddr, x.r.TLS, x.r.Proto, x.r.ProtoMajor, x.r.ProtoMinor
	if out.URL.Path != x.r.URL.Path || out.URL.RawPath != x.r.URL.RawPath || out.URL.RawQuery != x.r.URL.RawQuery {
		out.RequestURI = "" // as the client wrote it no longer
	}
	if out.Body == nil {
		out.Body = http.NoBody
	}
	inner := &exchange{p: x.p, w: w, r: &out, reqID: x.id(), plain: true, past: append(x.past[:len(x.past):len(x.past)], x.route.WorkloadID)}
	host := hostOf(x.r.Host)
	if inner.route = inner.find(host); inner.route == nil {
		inner.show(pageUnknown)
		return
	}
	if inner.ready() {
		inner.serveApp(host)
	}
	if inner.status == http.StatusSwitchingProtocols {
		x.status = inner.status // there is nothing left to answer
	}
}
