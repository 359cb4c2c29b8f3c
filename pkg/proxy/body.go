package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// refresh is how often a stall deadline is moved.
const refresh = 5 * time.Second

var (
	errCut      = errors.New("the request was cut")
	errTooLarge = errors.New("the request body is too large")
	errClient   = errors.New("the request body could not be read")
)

// bodyReader reads a request's body within its limit, and gives up on a client that stops sending. Its Read is called
// by one goroutine; stop and ended may be called by another.
type bodyReader struct {
	body  io.Reader
	rc    *http.ResponseController
	h2    bool // a deadline of HTTP/2 strikes even while nobody reads
	stall time.Duration
	left  int64 // bytes that may still come; negative: no limit
	err   error // how it ended

	// After the end of a body net/http reads ahead on the connection. A deadline that strikes then would end the
	// connection's context, and with it the next request: none may be set once ended.
	ended atomic.Bool

	mu      sync.Mutex // of the deadline
	set     time.Time
	stopped bool
}

func newBodyReader(x *exchange) *bodyReader {
	return &bodyReader{body: x.r.Body, rc: http.NewResponseController(x.w), h2: x.r.ProtoMajor == 2, left: x.route.maxBody, stall: x.p.cfg.Timeouts.Stall}
}

// Read implements io.Reader. Its errors are io.EOF, errTooLarge and those that wrap errClient.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.guard()
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left+1] // one more, to see whether there is more
	}
	n, err := b.body.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	if b.h2 || b.ended.Load() {
		b.unguard()
	}
	if b.left >= 0 {
		if int64(n) > b.left {
			b.err = errTooLarge
			return 0, b.err
		}
		b.left -= int64(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = errors.Join(errClient, err)
	}
	b.err = err
	return n, err
}

// guard sets a deadline for the client to send something.
func (b *bodyReader) guard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); !b.stopped && (b.h2 || now.Sub(b.set) > refresh) {
		b.set = now
		_ = b.rc.SetReadDeadline(now.Add(b.stall))
	}
}

func (b *bodyReader) unguard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.set.IsZero() && !b.stopped {
		b.set = time.Time{}
		_ = b.rc.SetReadDeadline(time.Time{})
	}
}

// stop makes a Read that is under way, and all later ones, return by a time. It leaves an ended body alone.
func (b *bodyReader) stop(by time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.Load() {
		b.stopped = true
		_ = b.rc.SetReadDeadline(by)
	}
}
