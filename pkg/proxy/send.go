package proxy

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httputil"
	"time"
)

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
	r, timeout, pools := x.r, x.route.timeout, x.p.pools
	go func() {
		defer close(c.done)
		buf := pools.buffer()
		defer pools.buffers.Put(buf)
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
