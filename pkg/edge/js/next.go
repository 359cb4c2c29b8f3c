//go:build linux

package js

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// next is host.next(…): the request goes on to what it would have met without the function.
func (i *isolate) next(a args) (qjs.Value, error) {
	c := i.call
	if c.Next == nil {
		return i.throw("TypeError", "next: there is nothing behind this function; it is no middleware")
	}
	g, w := c.Call, c.background()
	return i.exchange(a, func(ctx context.Context, o *outgoing) (bridge.Value, error) {
		r, err := o.onward(ctx, g)
		if err != nil {
			return bridge.Value{}, err
		}
		resp, err := handle(ctx, w, g.Next, r) //nolint:bodyclose // answerOf keeps it, the end of the call closes it
		if err != nil {
			return bridge.Value{}, err
		}
		return answerOf(w, resp, o.url.String(), false), nil
	})
}

// onward makes a request of it that says where it came from as the first one did.
func (o *outgoing) onward(ctx context.Context, g *guest.Call) (*http.Request, error) {
	made, err := o.request(ctx)
	if err != nil {
		return nil, err
	}
	r := g.Request.WithContext(&values{Context: ctx, values: g.Request.Context()})
	r.Method, r.Header, r.Host = made.Method, made.Header, o.url.Host
	r.Body, r.ContentLength, r.TransferEncoding, r.GetBody = made.Body, made.ContentLength, nil, nil
	if r.Body == nil {
		r.Body = http.NoBody
	}
	u := *g.Request.URL
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = o.url.Path, o.url.RawPath, o.url.RawQuery, o.url.ForceQuery
	r.URL, r.RequestURI = &u, u.RequestURI()
	return r, nil
}

// values is a context with the values of another.
type values struct {
	context.Context
	values context.Context
}

// Value returns a value of either.
func (v *values) Value(key any) any {
	if x := v.Context.Value(key); x != nil {
		return x
	}
	return v.values.Value(key)
}

// handle calls a handler and returns its answer when the head of it is there. The body follows while it is read.
func handle(ctx context.Context, w *work, h http.Handler, r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	p := &passer{header: http.Header{}, pipe: pw, begun: make(chan struct{})}
	ended := make(chan error, 1)
	w.wg.Go(func() {
		err := p.run(h, r)
		_ = pw.CloseWithError(err) // nil: the end
		ended <- err
	})
	stop := context.AfterFunc(ctx, func() { _ = pr.CloseWithError(context.Cause(ctx)) })
	select {
	case <-p.begun:
	case err := <-ended:
		if err != nil {
			stop()
			return nil, fmt.Errorf("next: %w", err)
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.once.Do(func() { p.take(http.StatusOK) })
	return &http.Response{StatusCode: p.status, Status: fmt.Sprintf("%d %s", p.status, http.StatusText(p.status)), Header: p.sent, Body: pr}, nil
}

// passer is the ResponseWriter of a handler whose answer somebody reads.
type passer struct {
	header http.Header
	pipe   *io.PipeWriter
	once   sync.Once
	begun  chan struct{}
	status int
	sent   http.Header
}

func (p *passer) run(h http.Handler, r *http.Request) (err error) {
	defer func() {
		if caught := recover(); caught != nil { // http.ErrAbortHandler, or a defect of the handler
			err = fmt.Errorf("the answer was cut short: %v", caught)
		}
	}()
	h.ServeHTTP(p, r)
	return nil
}

func (p *passer) take(status int) {
	p.status, p.sent = status, p.header.Clone()
	close(p.begun)
}

// Header returns what can be set until WriteHeader.
func (p *passer) Header() http.Header { return p.header }

// WriteHeader lets the answer begin.
func (p *passer) WriteHeader(status int) {
	if status >= 200 {
		p.once.Do(func() { p.take(status) })
	}
}

// Write waits until the piece is read.
func (p *passer) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.pipe.Write(b)
}

// Flush lets the answer begin; writes are not kept back.
func (p *passer) Flush() { p.WriteHeader(http.StatusOK) }
