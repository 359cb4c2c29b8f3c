package proxy

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// max1xx bounds the informational answers before the final one.
const max1xx = 5

// errNoAnswer means that a connection ended before the first byte of an answer.
var errNoAnswer = errors.New("the replica closed the connection")

// buffers holds copy buffers.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// attempt offers the request to one replica. It tells whether another may be tried: the replica took no connection,
// so that it cannot have seen anything of the request.
func (x *exchange) attempt(b *backend) (retry bool) {
	defer b.release()
	switch x.kind {
	case kindUpgrade:
		return x.upgrade(b)
	case kindGRPC:
		return x.grpc(b)
	}
	for fresh := false; ; fresh = true {
		u, err := b.get(x.r.Context(), fresh)
		if err != nil {
			return x.refused(b, err)
		}
		err = x.over(u)
		if err == nil {
			return false
		}
		if errors.Is(err, errNoAnswer) && u.used && !fresh && x.replayable() {
			continue // it was closed while it lay unused
		}
		x.fail(err)
		return false
	}
}

// refused notes that a replica took no connection; it tells whether another may be tried.
func (x *exchange) refused(b *backend, err error) (retry bool) {
	if x.r.Context().Err() != nil {
		x.fail(err)
		return false
	}
	b.failed(time.Now())
	return true
}

// replayable tells whether sending the request a second time does no harm.
func (x *exchange) replayable() bool {
	if x.r.ContentLength != 0 {
		return false
	}
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// over sends the request over u and passes the answer on. It gives u back or closes it.
func (x *exchange) over(u *upstream) (err error) {
	whole := false // u can carry another exchange
	defer func() {
		if whole {
			u.b.put(u)
		} else {
			u.b.drop(u)
		}
	}()
	u.out = x.appendHeader(u.out[:0])
	var sent *bodyCopy
	switch {
	case x.r.ContentLength == 0:
		u.deadline.Store(time.Now().Add(x.route.timeout).UnixNano())
		_, err = u.nc.Write(u.out)
	case x.small != nil:
		u.deadline.Store(time.Now().Add(x.route.timeout).UnixNano())
		u.out = append(u.out, x.small...)
		_, err = u.nc.Write(u.out)
	default:
		if x.r.ProtoMajor == 1 {
			_ = http.NewResponseController(x.w).EnableFullDuplex() // or answering would eat what is left of the body
		}
		sent = x.sendBody(u)
		defer func() {
			if !whole {
				u.end(errCut)
			}
			sent.stop()
			if cause := sent.cause(); err != nil && cause != nil {
				err = cause
			}
		}()
	}
	if cap(u.out) > 16<<10 {
		u.out = nil
	}
	if err != nil && u.why.Load() != nil {
		return *u.why.Load()
	} // any other error of writing: there may be an answer all the same
	res, err := x.readHeader(u)
	if err != nil {
		return err
	}
	u.answered.Store(true)
	u.deadline.Store(0)
	if err := x.answer(res); err != nil {
		return err
	}
	whole = !res.Close && (sent == nil || sent.finished()) && u.br.Buffered() == 0
	return nil
}

// readHeader reads the final answer's header, passing on informational ones.
func (x *exchange) readHeader(u *upstream) (*http.Response, error) {
	for range max1xx {
		u.header = maxResponseHeader
		if _, err := u.br.Peek(1); err != nil {
			if why := u.why.Load(); why != nil {
				return nil, *why
			}
			return nil, errors.Join(errNoAnswer, err)
		}
		res, err := http.ReadResponse(u.br, x.r)
		u.header = -1
		if err != nil {
			return nil, err
		}
		switch {
		case res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols && u.switching:
			return res, nil
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the replica switched protocols unasked")
		case res.StatusCode == http.StatusContinue:
			// the client was told when its body was first read
		default:
			h := x.w.Header()
			before := make(map[string]bool, len(h))
			for k := range h {
				before[k] = true
			}
			for k, v := range res.Header {
				if !hopByHop(k) {
					h[k] = v
				}
			}
			x.w.WriteHeader(res.StatusCode)
			for k := range h {
				if !before[k] {
					delete(h, k)
				}
			}
		}
	}
	return nil, errors.New("too many informational answers")
}

// answer passes an answer on.
func (x *exchange) answer(res *http.Response) error {
	h := x.w.Header()
	drop := connectionTokens(res.Header)
	for k, v := range res.Header {
		if !hopByHop(k) && !drop[k] {
			h[k] = v
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	for _, kv := range x.route.headers {
		h[kv[0]] = []string{kv[1]}
	}
	announced := len(res.Trailer)
	for k := range res.Trailer {
		h.Add("Trailer", k)
	}
	x.status = res.StatusCode
	x.w.WriteHeader(res.StatusCode)
	if err := x.copyBody(res); err != nil {
		return err
	}
	if len(res.Trailer) == 0 {
		return nil
	}
	_ = http.NewResponseController(x.w).Flush() // trailers need a chunked answer
	for k, v := range res.Trailer {
		if len(res.Trailer) != announced {
			k = http.TrailerPrefix + k
		}
		h[k] = v
	}
	return nil
}

// copyBody passes an answer's body on: at once, piece by piece, where its length is not known beforehand.
func (x *exchange) copyBody(res *http.Response) error {
	if res.Body == http.NoBody || res.ContentLength == 0 {
		return nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	stream := res.ContentLength < 0
	var rc *http.ResponseController
	guard := writeGuard{h2: x.r.ProtoMajor == 2}
	if stream || res.ContentLength > 4<<10 {
		rc = http.NewResponseController(x.w)
		guard.rc = rc
		defer guard.clear()
	}
	if stream && x.r.ProtoMajor >= 2 || isEvents(res.Header) {
		if rc == nil {
			rc = http.NewResponseController(x.w)
		}
		_ = rc.Flush() // the header, so that a stream that says nothing yet is seen to be open
		stream = true
	}
	for {
		n, err := res.Body.Read(*buf)
		if n > 0 {
			guard.before()
			m, werr := x.w.Write((*buf)[:n])
			x.bytes += int64(m)
			if werr == nil && stream && err == nil {
				werr = rc.Flush()
			}
			guard.after()
			if werr != nil {
				return errors.Join(errClient, werr)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isEvents(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// writeGuard ends an answer whose client takes nothing any more.
type writeGuard struct {
	rc  *http.ResponseController // nil: off
	h2  bool                     // a deadline of HTTP/2 strikes even while nobody writes
	set time.Time
}

func (g *writeGuard) before() {
	if g.rc == nil {
		return
	}
	if now := time.Now(); g.h2 || now.Sub(g.set) > refresh {
		g.set = now
		_ = g.rc.SetWriteDeadline(now.Add(stall))
	}
}

func (g *writeGuard) after() {
	if g.rc != nil && g.h2 {
		g.clear()
	}
}

func (g *writeGuard) clear() {
	if !g.set.IsZero() {
		_ = g.rc.SetWriteDeadline(time.Time{})
		g.set = time.Time{}
	}
}

// appendHeader appends the request as the replica is to see it, up to its body.
func (x *exchange) appendHeader(b []byte) []byte {
	r := x.r
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, requestTarget(r)...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, '\r', '\n')
	drop := connectionTokens(r.Header)
	for k, vv := range r.Header {
		if hopByHop(k) || forwarding(k) || k == "Host" || k == "Content-Length" || k == "Expect" || drop[k] {
			continue
		}
		for _, v := range vv {
			b = appendField(b, k, v)
		}
	}
	if te := r.Header["Te"]; len(te) > 0 && httpguts.HeaderValuesContainsToken(te, "trailers") {
		b = append(b, "Te: trailers\r\n"...)
	}
	b = appendField(b, "X-Forwarded-For", remoteIP(r))
	b = appendField(b, "X-Forwarded-Host", r.Host)
	if r.TLS != nil {
		b = append(b, "X-Forwarded-Proto: https\r\n"...)
	} else {
		b = append(b, "X-Forwarded-Proto: http\r\n"...)
	}
	b = appendField(b, "X-Request-Id", x.id())
	switch {
	case r.ContentLength > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, '\r', '\n')
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if len(r.Trailer) > 0 {
			names := make([]string, 0, len(r.Trailer))
			for k := range r.Trailer {
				names = append(names, k)
			}
			b = appendField(b, "Trailer", strings.Join(names, ", "))
		}
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...)
	}
	return append(b, '\r', '\n')
}

// appendField appends one header field. Line ends in it would let a client write requests of its own: net/http lets
// none through, and this makes sure.
func appendField(b []byte, k, v string) []byte {
	if strings.ContainsAny(v, "\r\n\x00") || strings.ContainsAny(k, "\r\n: ") {
		return b
	}
	b = append(b, k...)
	b = append(b, ':', ' ')
	b = append(b, v...)
	return append(b, '\r', '\n')
}

// requestTarget returns the target as the client wrote it, unless it is in absolute form or holds what could be taken
// for the end of the request line.
func requestTarget(r *http.Request) string {
	t := r.RequestURI
	if len(t) == 0 || t[0] != '/' {
		return r.URL.RequestURI()
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] >= 0x7f {
			return r.URL.RequestURI()
		}
	}
	return t
}

// bodyCopy is the sending of a body in a goroutine of its own, while the exchange waits for the answer.
type bodyCopy struct {
	in   *bodyReader
	done chan struct{}
	err  error // of the client's end; after done
	ok   bool  // all was sent; after done
}

// sendBody begins to send the header in u.out and the body.
func (x *exchange) sendBody(u *upstream) *bodyCopy {
	c := &bodyCopy{in: newBodyReader(x), done: make(chan struct{})}
	header := u.out
	u.out = nil
	r, timeout := x.r, x.route.timeout
	go func() {
		defer close(c.done)
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		c.err, c.ok = send(u, header, r, c.in, *buf)
		if c.err != nil {
			u.end(c.err)
			return
		}
		if c.ok && !u.answered.Load() { // the time for the answer runs from here
			u.deadline.Store(time.Now().Add(timeout).UnixNano())
			if u.answered.Load() {
				u.deadline.Store(0)
			}
		}
	}()
	return c
}

// send writes header and body. The error is the client's; what goes wrong at the replica's end shows in its answer.
func send(u *upstream, header []byte, r *http.Request, in io.Reader, buf []byte) (error, bool) {
	bw := bufio.NewWriterSize(u.nc, 4<<10)
	_, _ = bw.Write(header)
	if err := bw.Flush(); err != nil {
		return nil, false
	}
	var w io.Writer = bw
	var chunks io.WriteCloser
	if r.ContentLength < 0 {
		chunks = httputil.NewChunkedWriter(bw)
		w = chunks
	}
	for {
		n, err := in.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return nil, false
			}
			if werr := bw.Flush(); werr != nil {
				return nil, false
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err, false
		}
	}
	if chunks != nil {
		_ = chunks.Close() // writes the last chunk
		for k, vv := range r.Trailer {
			for _, v := range vv {
				_, _ = bw.Write(appendField(nil, k, v))
			}
		}
		_, _ = bw.WriteString("\r\n")
	}
	return nil, bw.Flush() == nil
}

// finished tells whether the whole body has been sent.
func (c *bodyCopy) finished() bool {
	select {
	case <-c.done:
		return c.ok
	default:
		return false
	}
}

// stop ends the sending, whether it is complete or not, and waits for that.
func (c *bodyCopy) stop() {
	select {
	case <-c.done:
		return
	default:
	}
	c.in.stop()
	<-c.done
}

// cause returns what went wrong at the client's end; after stop.
func (c *bodyCopy) cause() error { return c.err }
