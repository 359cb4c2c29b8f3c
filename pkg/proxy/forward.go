package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// statusGone is what the access log says when the client went away before it was answered.
const statusGone = 499

// maxTries bounds how many replicas one request is offered to.
const maxTries = 3

// smallBody is how large a body may be to be read whole before a replica is bothered with it.
const smallBody = 16 << 10

// kind is how a request has to be forwarded.
type kind int

const (
	kindPlain kind = iota
	kindUpgrade
	kindGRPC
)

func kindOf(r *http.Request) kind {
	switch {
	case r.ProtoMajor == 1 && r.ContentLength == 0 && upgradeOf(r.Header) != "" && !strings.EqualFold(upgradeOf(r.Header), "h2c"):
		return kindUpgrade
	case r.ProtoMajor >= 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		return kindGRPC
	}
	return kindPlain
}

// serveApp hands the request to a replica of its route.
func (x *exchange) serveApp(host string) {
	r := x.r
	if !httpguts.ValidHeaderFieldName(r.Method) || r.Method == http.MethodConnect {
		x.show(pageMethod)
		return
	}
	if limit := x.route.maxBody; limit >= 0 && r.ContentLength > limit {
		x.show(pageTooLarge)
		return
	}
	if x.kind = kindOf(r); x.kind == kindUpgrade && x.byFunction() && !x.route.Middleware {
		x.show(pageNoUpgrade)
		return
	}
	if n := r.ContentLength; x.kind == kindPlain && n > 0 && n <= smallBody && x.byContainer() {
		buf := x.p.pools.buffer()
		defer x.p.pools.buffers.Put(buf)
		x.small = (*buf)[:n]
		if _, err := io.ReadFull(newBodyReader(x), x.small); err != nil {
			x.fail(bodyError(err))
			return
		}
	}
	var tried []*backend
	for len(tried) < maxTries {
		b, gone := x.route.pick(tried)
		if gone { // a new table has just been published
			next := x.find(host)
			if next == nil {
				x.show(pageUnknown)
				return
			}
			if x.route = next; !x.ready() {
				return
			}
			tried = nil
			continue
		}
		if b == nil {
			break
		}
		x.backend = b
		if !x.attempt(b) {
			return
		}
		tried = append(tried, b)
	}
	if len(x.route.backends) == 0 {
		x.show(pageDown)
		return
	}
	x.show(pageBad)
}

// fail answers for a replica that did not.
func (x *exchange) fail(err error) {
	switch {
	case x.status != 0:
		panic(http.ErrAbortHandler) // the answer has begun: only cutting it tells the client that it is not whole
	case errors.Is(err, errTooLarge):
		x.show(pageTooLarge)
	case x.r.Context().Err() != nil:
		x.status = statusGone
		panic(http.ErrAbortHandler) // there is nobody to answer
	case errors.Is(err, errClient):
		x.show(pageBadBody)
	case errors.Is(err, errCut):
		x.show(pageBusy)
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		x.show(pageSlow)
	default:
		x.show(pageBad)
	}
}

// bodyError is how a body that ends too early is reported.
func bodyError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errClient
	}
	return err
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
