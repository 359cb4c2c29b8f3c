//go:build linux

package httpwasm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// Features of the ABI that a guest may enable.
const (
	bufferRequest  = 1 << iota // the request's body can be read and still reaches the next handler
	bufferResponse             // the next handler's answer can be read and changed
	trailers
	allFeatures = bufferRequest | bufferResponse | trailers
)

// flushAfter is how long something written waits for more before it is sent.
const flushAfter = 20 * time.Millisecond

// exchange is one request and its answer. It lives inside its isolate, so that a request allocates little.
type exchange struct {
	call     *guest.Call
	w        http.ResponseWriter
	r        *http.Request // of the caller until it is changed, see own
	owned    bool
	features uint32
	after    bool // the next handler has been called
	stack    [2]uint64
	headers  int // bytes of headers that the guest set

	status  int  // 0: none set, which is 200
	sent    bool // the head of the answer is on its way
	flushed time.Time
	dirty   bool // something was written since

	limit   int64         // bytes of a body that is kept
	given   *bytes.Buffer // what the guest wrote as the request's body; nil: nothing
	read    replay        // the request's body as the guest reads it
	held    *held         // the next handler's answer; nil: not held back
	tooMuch error         // a body that is held is larger than it may be
}

func (x *exchange) begin(c *guest.Call, features uint32, limit int64) {
	*x = exchange{call: c, w: c.Writer, r: c.Request, features: features, limit: limit}
}

// close lets go of what belongs to the caller.
func (x *exchange) close() { *x = exchange{} }

func (x *exchange) has(feature uint32) bool { return x.features&feature != 0 }

// own returns the request to be changed: a copy, since the caller's is the caller's.
func (x *exchange) own() *http.Request {
	if !x.owned {
		x.r, x.owned = x.r.Clone(x.r.Context()), true
	}
	return x.r
}

// body returns the request's body to read from.
func (x *exchange) body() *replay {
	if x.read.body == nil {
		x.read.body, x.read.limit = x.r.Body, x.limit
		if x.r.Body == nil {
			x.read.body = http.NoBody
		}
	}
	return &x.read
}

// serve calls the next handler with the request as the guest left it.
func (x *exchange) serve(next http.Handler) {
	switch {
	case x.given != nil:
		r := x.own()
		r.Body = io.NopCloser(x.given)
		r.ContentLength = int64(x.given.Len())
		r.TransferEncoding = nil
		r.Header.Del("Content-Length")
	case x.has(bufferRequest) && x.r.Body != nil && x.r.Body != http.NoBody:
		body := x.body()
		r := x.own()
		r.Body = body.again(r.Body)
	}
	x.after = true
	if x.has(bufferResponse) {
		x.hold().replaced = false // what the guest writes after the next handler takes its place
		next.ServeHTTP(x.held, x.r)
		if x.held.status != 0 {
			x.status = x.held.status
		}
		x.tooMuch = x.held.fault
		return
	}
	w := &watched{ResponseWriter: x.w, x: x}
	next.ServeHTTP(w, x.r)
	if !x.sent { // a handler that wrote nothing answered 200
		x.head(http.StatusOK)
	}
}

// hold keeps the answer back from now on.
func (x *exchange) hold() *held {
	if x.held == nil {
		x.held = &held{header: x.w.Header(), limit: x.limit}
	}
	return x.held
}

// head sends the status and headers.
func (x *exchange) head(status int) {
	if r := x.call.Request; r.ProtoMajor == 1 && !x.after && !x.read.eof && r.Body != nil && r.Body != http.NoBody {
		// Otherwise net/http throws the rest of the body away before it writes.
		_ = http.NewResponseController(x.w).EnableFullDuplex()
	}
	x.sent, x.status = true, status
	x.w.WriteHeader(status)
}

// write sends a piece of the answer's body.
func (x *exchange) write(b []byte) error {
	first := !x.sent
	if first {
		x.head(x.code())
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := x.w.Write(b); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return fmt.Errorf("sending the answer: %w", err)
	}
	x.dirty = true
	if first { // most answers are one piece, and net/http then knows their length
		return nil
	}
	if now := time.Now(); x.flushed.IsZero() {
		x.flushed = now
	} else if now.Sub(x.flushed) >= flushAfter {
		x.flush(now)
	}
	return nil
}

func (x *exchange) flush(now time.Time) {
	_ = http.NewResponseController(x.w).Flush() // where it cannot be, it goes out at the end
	x.flushed, x.dirty = now, false
}

// code is the status as it stands.
func (x *exchange) code() int {
	if x.status == 0 {
		return http.StatusOK
	}
	return x.status
}

// finish sends what has not been sent yet.
func (x *exchange) finish() error {
	switch {
	case x.tooMuch != nil:
		return x.tooMuch
	case x.held == nil && !x.sent:
		x.head(x.code())
		return nil
	case x.held == nil:
		return nil
	}
	if x.held.touched {
		x.w.Header().Set("Content-Length", strconv.Itoa(x.held.body.Len()))
	}
	x.head(x.code())
	if x.held.body.Len() == 0 {
		return nil
	}
	_, err := x.w.Write(x.held.body.Bytes())
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return fmt.Errorf("sending the answer: %w", err)
	}
	return nil
}

// watched sees the status that passes to the client.
type watched struct {
	http.ResponseWriter
	x *exchange
}

// WriteHeader notes the status.
func (w *watched) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.x.sent, w.x.status = true, status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends the head first.
func (w *watched) Write(b []byte) (int, error) {
	if !w.x.sent {
		w.x.sent, w.x.status = true, http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what is below.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
