package proxy

import (
	"io"
	"math"
	"net/http"
	"sync/atomic"
	"time"
)

// static has a static site answer the request.
func (x *exchange) static(b *backend) {
	if x.p.cfg.Sites == nil {
		x.show(pageDown)
		return
	}
	w := &siteWriter{x: x, b: b}
	x.p.cfg.Sites.Serve(b.Name, w, x.r)
	if w.err != nil {
		panic(http.ErrAbortHandler) // the client took no more, or is not to get more
	}
}

// siteChunk is how much of a large file a client has to take in the time it may stall, in bytes.
const siteChunk = 256 << 10

// siteWriter passes a site's answer on.
type siteWriter struct {
	x     *exchange
	b     *backend
	err   error // of writing
	ended atomic.Bool
}

var (
	_ http.ResponseWriter = (*siteWriter)(nil)
	_ io.ReaderFrom       = (*siteWriter)(nil)
)

// Header implements http.ResponseWriter.
func (w *siteWriter) Header() http.Header { return w.x.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (w *siteWriter) WriteHeader(status int) {
	if w.x.status == 0 {
		w.x.status = status
		w.x.w.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (w *siteWriter) Write(p []byte) (n int, err error) {
	w.WriteHeader(http.StatusOK)
	if len(p) <= 4<<10 { // too little to wait for the client
		n, err = w.x.w.Write(p)
		w.x.bytes += int64(n)
		w.err = err
		return n, err
	}
	m, err := w.long(func() (int64, error) { n, err := w.x.w.Write(p); return int64(n), err })
	return int(m), err
}

// ReadFrom sends a file: over plain connections the kernel copies it.
func (w *siteWriter) ReadFrom(r io.Reader) (total int64, err error) {
	w.WriteHeader(http.StatusOK)
	part := &io.LimitedReader{R: r}
	left := int64(math.MaxInt64)
	if l, ok := r.(*io.LimitedReader); ok { // one around another would hide the file
		part.R, left = l.R, l.N
		defer func() { l.N -= total }()
	}
	for {
		part.N = min(left-total, siteChunk)
		want := part.N
		n, err := w.long(func() (int64, error) { return io.Copy(w.x.w, part) })
		total += n
		if err != nil || n < want || total == left {
			return total, err
		}
	}
}

// long does a write that a client may make wait, and gives up on a client that takes nothing any more.
func (w *siteWriter) long(write func() (int64, error)) (int64, error) {
	w.b.track(w)
	defer w.b.untrack(w)
	rc := http.NewResponseController(w.x.w)
	_ = rc.SetWriteDeadline(time.Now().Add(w.x.p.cfg.Timeouts.Stall))
	var n int64
	err := errCut
	if !w.ended.Load() { // cut marks first, then sets the deadline: one of the two is seen
		n, err = write()
	}
	w.x.bytes += n
	if w.err = err; err == nil {
		_ = rc.SetWriteDeadline(time.Time{})
	}
	return n, err
}

// cut implements canceller.
func (w *siteWriter) cut() {
	w.ended.Store(true)
	_ = http.NewResponseController(w.x.w).SetWriteDeadline(time.Unix(1, 0))
}
