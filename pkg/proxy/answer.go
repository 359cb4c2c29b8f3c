package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// answer passes an answer on.
func (x *exchange) answer(u *upstream, res *http.Response) error {
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
	how := x.compression(res.StatusCode, res.ContentLength, h)
	announced := len(res.Trailer)
	for k := range res.Trailer {
		h.Add("Trailer", k)
	}
	x.status = res.StatusCode
	x.w.WriteHeader(res.StatusCode)
	if err := x.copyBody(u, res, how); err != nil {
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

// copyBody passes an answer's body on, compressed as how says: at once, piece by piece, where its length was not
// known beforehand.
func (x *exchange) copyBody(u *upstream, res *http.Response, how string) (err error) {
	if res.Body == http.NoBody || res.ContentLength == 0 {
		return nil
	}
	buf := x.p.pools.buffer()
	defer x.p.pools.buffers.Put(buf)
	out := clientWriter{x: x, h2: x.r.ProtoMajor == 2}
	stream := res.ContentLength < 0
	if stream || res.ContentLength > 4<<10 {
		out.rc = http.NewResponseController(x.w)
		defer out.clear()
	}
	if stream && u.br.Buffered() == 0 {
		_ = out.rc.Flush() // the header, so that a stream that says nothing yet is seen to be open
	}
	if how == "" {
		return pass(res.Body, &out, nil, stream, *buf)
	}
	enc := x.p.pools.encoder(how, &out)
	defer x.p.pools.release(how, enc)
	if err := pass(res.Body, &out, enc, stream, *buf); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return errors.Join(errClient, err)
	}
	return nil
}

// pass copies body to out, through enc if there is one.
func pass(body io.Reader, out *clientWriter, enc encoder, stream bool, buf []byte) error {
	var w io.Writer = out
	if enc != nil {
		w = enc
	}
	for {
		n, err := body.Read(buf)
		if n > 0 {
			_, werr := w.Write(buf[:n])
			if werr == nil && stream && err == nil {
				if enc != nil {
					werr = enc.Flush()
				}
				if werr == nil {
					werr = out.flush()
				}
			}
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

// clientWriter writes an answer's body, and gives up on a client that takes nothing any more.
type clientWriter struct {
	x   *exchange
	rc  *http.ResponseController // nil: short enough never to block
	h2  bool                     // a deadline of HTTP/2 strikes even while nobody writes
	set time.Time
}

// Write implements io.Writer.
func (c *clientWriter) Write(p []byte) (int, error) {
	c.before()
	n, err := c.x.w.Write(p)
	c.x.bytes += int64(n)
	c.after()
	return n, err
}

func (c *clientWriter) flush() error {
	c.before()
	defer c.after()
	return c.rc.Flush()
}

func (c *clientWriter) before() {
	if c.rc == nil {
		return
	}
	if now := time.Now(); c.h2 || now.Sub(c.set) > refresh {
		c.set = now
		_ = c.rc.SetWriteDeadline(now.Add(c.x.p.cfg.Timeouts.Stall))
	}
}

func (c *clientWriter) after() {
	if c.rc != nil && c.h2 {
		c.clear()
	}
}

func (c *clientWriter) clear() {
	if !c.set.IsZero() {
		_ = c.rc.SetWriteDeadline(time.Time{})
		c.set = time.Time{}
	}
}
