package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// refresh is how often a stall deadline is moved.
const refresh = 5 * time.Second

var (
	errCut      = errors.New("the request was cut")
	errTooLarge = errors.New("the request body is too large")
	errClient   = errors.New("the request body could not be read")
)

// bodyReader reads a request's body within its limit, and gives up on a client that stops sending.
type bodyReader struct {
	body  io.Reader
	rc    *http.ResponseController
	h2    bool // a deadline of HTTP/2 strikes even while nobody reads
	stall time.Duration
	left  int64 // bytes that may still come; negative: no limit
	set   time.Time
	err   error // how it ended
}

func newBodyReader(x *exchange) *bodyReader {
	b := &bodyReader{body: x.r.Body, rc: http.NewResponseController(x.w), h2: x.r.ProtoMajor == 2, left: x.route.maxBody, stall: x.p.cfg.Timeouts.Stall}
	return b
}

// Read implements io.Reader. Its errors are io.EOF, errTooLarge and those that wrap errClient.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if now := time.Now(); b.h2 || now.Sub(b.set) > refresh {
		b.set = now
		_ = b.rc.SetReadDeadline(now.Add(b.stall))
	}
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left+1] // one more, to see whether there is more
	}
	n, err := b.body.Read(p)
	if errors.Is(err, io.EOF) || b.h2 {
		b.set = time.Time{}
		_ = b.rc.SetReadDeadline(time.Time{}) // it would strike while the answer is awaited
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

// stop makes a Read that is under way in another goroutine return.
func (b *bodyReader) stop() { _ = b.rc.SetReadDeadline(time.Unix(1, 0)) }
