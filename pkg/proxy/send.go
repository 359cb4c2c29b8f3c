package proxy

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"time"
)

// Times for what is left when an answer was complete before its request.
const (
	// settleFor is how long a sender may take that has read all of the body: it has one write to finish.
	settleFor = time.Second
	// lingerFor is how long the rest of a body is read and thrown away. Closing at once would make the client's machine
	// drop the answer it may not have read yet.
	lingerFor = 2 * time.Second
)

// bodyCopy is the sending of a body in a goroutine of its own, while the exchange waits for the answer.
type bodyCopy struct {
	x    *exchange
	u    *upstream
	in   *bodyReader
	done chan struct{}
	err  error // of the client's end; after done
	ok   bool  // all was sent; after done
}

// sendBody begins to send the header in u.out and the body.
func (x *exchange) sendBody(u *upstream) *bodyCopy {
	c := &bodyCopy{x: x, u: u, in: newBodyReader(x), done: make(chan struct{})}
	header, pools := u.out, x.p.pools
	u.out = nil
	go func() {
		defer close(c.done)
		buf := pools.buffer()
		defer pools.buffers.Put(buf)
		c.err = c.send(header, *buf)
		c.ok = c.err == nil
		if errors.Is(c.err, errClient) || errors.Is(c.err, errTooLarge) {
			u.end(c.err)
			return
		}
		c.err = nil // what goes wrong at the replica's end shows in its answer
		u.expect(x.route.timeout)
		for !c.ok && x.r.ProtoMajor == 1 { // the replica takes no more: answer, then wait for the client to notice
			if _, err := c.in.Read(*buf); err != nil {
				break
			}
		}
	}()
	return c
}

// send writes header and body.
func (c *bodyCopy) send(header, buf []byte) error {
	bw := bufio.NewWriterSize(c.u.nc, 4<<10)
	flush := func() error {
		c.u.expect(c.x.route.timeout) // a replica that does not read is as slow as one that does not answer
		err := bw.Flush()
		c.u.expect(0)
		return err
	}
	_, _ = bw.Write(header)
	var w io.Writer = bw
	var chunks io.WriteCloser
	if c.x.r.ContentLength < 0 {
		chunks = httputil.NewChunkedWriter(bw)
		w = chunks
	}
	for err := flush(); ; {
		if err != nil {
			return err
		}
		n, rerr := c.in.Read(buf)
		if n > 0 {
			c.u.expect(c.x.route.timeout)
			if _, err = w.Write(buf[:n]); err != nil {
				return err
			}
			err = flush()
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return rerr
		}
	}
	if chunks != nil {
		_ = chunks.Close() // writes the last chunk
		for k, vv := range c.x.r.Trailer {
			for _, v := range vv {
				_, _ = bw.Write(appendField(nil, k, v))
			}
		}
		_, _ = bw.WriteString("\r\n")
	}
	return flush()
}

// settle waits for a sender that has read all of the body, and tells whether all of it was sent.
func (c *bodyCopy) settle() bool {
	if c.in.ended.Load() {
		wait := time.NewTimer(settleFor)
		defer wait.Stop()
		select {
		case <-c.done:
		case <-wait.C:
		}
	}
	select {
	case <-c.done:
		return c.ok
	default:
		return false
	}
}

// stop ends the sending, whether it is complete or not, and waits for that. The connection to the replica has been
// given back or closed.
func (c *bodyCopy) stop(answered bool) {
	select {
	case <-c.done:
		return
	default:
	}
	by := time.Unix(1, 0)
	if answered && c.x.r.ProtoMajor == 1 {
		_ = http.NewResponseController(c.x.w).Flush()
		by = time.Now().Add(lingerFor)
	}
	c.in.stop(by)
	<-c.done
}
