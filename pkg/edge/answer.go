package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// answer is what a guest writes its answer to, and reads the request's body from. It keeps the limit of the answer's
// length, and cuts what waits for a slow client when the call ends.
type answer struct {
	w    http.ResponseWriter
	body io.ReadCloser
	ctx  context.Context
	left int64 // bytes of body that may come; -1: no limit
	head bool  // the client asked for no body
	sent bool  // the header went out
	err  error // why the answer is not whole

	mu               sync.Mutex
	reading, writing bool
	cut              bool // the connection cannot be used any more
	over             bool // the guest has returned
}

var (
	_ http.ResponseWriter = (*answer)(nil)
	_ io.ReadCloser       = (*requestBody)(nil)
)

// hop are the header fields that belong to the connection, not to the answer.
func hop() []string {
	return []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Te", "Upgrade"}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.w.Header() }

// Unwrap is for http.ResponseController: what is not here is the connection's own.
func (a *answer) Unwrap() http.ResponseWriter { return a.w }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.sent || a.err != nil {
		return
	}
	if status < 100 || status > 999 || status == http.StatusSwitchingProtocols {
		a.err = fmt.Errorf("%d is no status of an answer", status)
		return
	}
	h := a.w.Header()
	for _, name := range hop() {
		delete(h, name)
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && a.left >= 0 && n > a.left && !a.head {
		a.err = errLarge
		return
	}
	if status >= 200 {
		a.sent = true
	}
	a.w.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if !a.sent {
		a.WriteHeader(http.StatusOK)
	}
	if a.err != nil {
		return 0, a.err
	}
	part := p
	if a.left >= 0 && int64(len(p)) > a.left {
		part, a.err = p[:a.left], errLarge
	}
	if err := a.wait(&a.writing); err != nil {
		return 0, err
	}
	n, err := a.w.Write(part)
	a.waited(&a.writing)
	if a.left >= 0 {
		a.left -= int64(n)
	}
	if err == nil {
		err = a.err
	}
	return n, err
}

// FlushError is for http.ResponseController.
func (a *answer) FlushError() error {
	if !a.sent {
		a.WriteHeader(http.StatusOK)
	}
	if a.err != nil {
		return a.err
	}
	if err := a.wait(&a.writing); err != nil {
		return err
	}
	defer a.waited(&a.writing)
	return http.NewResponseController(a.w).Flush()
}

// wait notes that the connection is waited for. The error is that of the call.
func (a *answer) wait(what *bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return http.ErrHandlerTimeout
	}
	if err := a.ctx.Err(); err != nil {
		return err
	}
	*what = true
	return nil
}

func (a *answer) waited(what *bool) {
	a.mu.Lock()
	*what = false
	a.mu.Unlock()
}

// interrupt ends what waits for the connection; the call has ended.
func (a *answer) interrupt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	if !a.reading && !a.writing {
		return
	}
	// Both: before the first byte of an answer, net/http reads what is left of the request.
	now, c := time.Now(), http.NewResponseController(a.w)
	a.cut = errors.Join(c.SetReadDeadline(now), c.SetWriteDeadline(now)) == nil
}

// end keeps everybody from the connection, which is the server's again.
func (a *answer) end() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
}

// requestBody is the body of the request as the guest reads it.
type requestBody struct{ a *answer }

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	if err := b.a.wait(&b.a.reading); err != nil {
		return 0, err
	}
	defer b.a.waited(&b.a.reading)
	return b.a.body.Read(p)
}

// Close implements io.Closer.
func (b *requestBody) Close() error { return b.a.body.Close() }

// beyond is what a request meets behind middleware.
type beyond struct {
	next http.Handler
	a    *answer
	c    *call
}

// ServeHTTP passes a request on. What comes from there does not count as the function's answer. A panic there does not
// pass through guest code, which could not be used again: it ends the call.
func (b *beyond) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			err, ok := p.(error)
			if !ok || !errors.Is(err, http.ErrAbortHandler) {
				b.c.f.host.cfg.Logger.Error().Interface("panic", p).Msg("a panic behind a function was caught")
			}
			b.c.cancel(http.ErrAbortHandler)
		}
	}()
	if w == http.ResponseWriter(b.a) {
		left := b.a.left
		b.a.left = -1
		defer func() { b.a.left = left }()
	}
	b.next.ServeHTTP(w, r)
}
