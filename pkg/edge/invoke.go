package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// Invoke gives a request to the function of that name and returns its answer, whose body is the caller's to close: that
// ends the call where it goes on. So does the end of ctx.
func (h *Host) Invoke(ctx context.Context, name string, r *http.Request) (*http.Response, error) {
	f := h.find(name)
	if f == nil {
		return nil, notStarted(name)
	}
	return inside{f}.RoundTrip(r.WithContext(ctx))
}

// inside asks a function without a connection.
type inside struct{ f *function }

var _ http.RoundTripper = inside{}

// RoundTrip implements http.RoundTripper.
func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	from, to := io.Pipe()
	p := &reply{header: http.Header{}, to: to, ready: make(chan struct{})}
	i.f.host.tasks.Go(func() {
		defer cancel()
		p.end(i.answer(p, incoming(ctx, r)))
	})
	select {
	case <-p.ready:
	case <-r.Context().Done():
		_ = from.CloseWithError(r.Context().Err())
		cancel()
		return nil, context.Cause(r.Context())
	}
	return &http.Response{
		Status: http.StatusText(p.status), StatusCode: p.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: p.sent, Body: &replyBody{PipeReader: from, cancel: cancel}, ContentLength: -1, Request: r,
	}, nil
}

// answer runs the function; the error says that the answer is not whole.
func (i inside) answer(p *reply, r *http.Request) (err error) {
	defer func() {
		switch e := recover(); e {
		case nil:
		case http.ErrAbortHandler: // exactly what serve panics with
			err = io.ErrUnexpectedEOF
		default:
			panic(e)
		}
	}()
	i.f.serve(p, r, nil)
	return nil
}

// incoming makes of a request to be sent one as a server gets it.
func incoming(ctx context.Context, r *http.Request) *http.Request {
	in := r.Clone(ctx)
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	in.RequestURI, in.Proto, in.ProtoMajor, in.ProtoMinor = r.URL.RequestURI(), "HTTP/1.1", 1, 1
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.RemoteAddr == "" {
		in.RemoteAddr = "127.0.0.1:0"
	}
	return in
}

// reply is the http.ResponseWriter of a call without a connection.
type reply struct {
	header http.Header
	to     *io.PipeWriter

	once   sync.Once
	status int
	sent   http.Header   // what header was when the status was written
	ready  chan struct{} // closed then
}

// Header implements http.ResponseWriter.
func (p *reply) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *reply) WriteHeader(status int) {
	if status < 200 {
		return
	}
	p.once.Do(func() {
		p.status, p.sent = status, p.header.Clone()
		close(p.ready)
	})
}

// Write implements http.ResponseWriter. It returns once the reader has read.
func (p *reply) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.to.Write(b)
}

// FlushError is for http.ResponseController: nothing is held back.
func (p *reply) FlushError() error {
	p.WriteHeader(http.StatusOK)
	return nil
}

func (p *reply) end(err error) {
	if err == nil {
		p.WriteHeader(http.StatusOK)
	}
	_ = p.to.CloseWithError(errors.Join(err)) // nil: the end of the answer
	p.WriteHeader(http.StatusBadGateway)      // unless it is out
}

type replyBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close ends the call where it goes on.
func (b *replyBody) Close() error {
	err := b.PipeReader.Close()
	b.cancel()
	return err
}
