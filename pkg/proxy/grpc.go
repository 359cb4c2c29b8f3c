package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// newH2C returns a client that speaks HTTP/2 without TLS, for gRPC.
func newH2C() http.RoundTripper {
	t := &http.Transport{
		DialContext:        (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DisableCompression: true, Protocols: new(http.Protocols), IdleConnTimeout: 90 * time.Second,
	}
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

// grpc forwards a gRPC request over HTTP/2, as gRPC servers require. Streams have no end, so that neither the limit of
// bodies nor the time for an answer holds: gRPC has its own.
func (x *exchange) grpc(b *backend) (retry bool) {
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	c := &cutContext{cancel}
	b.track(c)
	defer b.untrack(c)
	var failure error
	rp := &httputil.ReverseProxy{
		// Streams are flushed at once because their length is unknown. A header that is a whole answer must not be: gRPC
		// wants it to end the stream by itself.
		Transport: x.p.h2c, BufferPool: x.p.pools,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL = &url.URL{Scheme: "http", Host: b.address, Path: pr.In.URL.Path, RawPath: pr.In.URL.RawPath, RawQuery: pr.In.URL.RawQuery}
			pr.Out.Host = pr.In.Host
			for k := range pr.Out.Header {
				if forwarding(k) {
					delete(pr.Out.Header, k)
				}
			}
			pr.SetXForwarded()
			pr.Out.Header.Set("X-Request-Id", x.id())
			pr.Out.Body = io.NopCloser(pr.In.Body) // another replica may still be tried
		},
		ModifyResponse: func(res *http.Response) error {
			x.status = res.StatusCode
			for _, kv := range x.route.headers {
				res.Header.Set(kv[0], kv[1])
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err },
	}
	rp.ServeHTTP(x.w, x.r.WithContext(ctx))
	if failure == nil {
		b.worked()
		return false
	}
	var op *net.OpError
	if errors.As(failure, &op) && op.Op == "dial" {
		return x.refused(b, failure)
	}
	if ctx.Err() != nil && x.r.Context().Err() == nil {
		failure = errCut
	}
	x.fail(failure)
	return false
}
