//go:build linux

package js

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// piece is the most that one read of a body hands to the guest, in bytes.
const piece = 64 << 10

// source is a body that the guest may read: the request's, number 0, or that of an answer to fetch or next.
type source struct {
	body    io.ReadCloser
	unblock func() // ends a read under way
	reading atomic.Bool
	ended   atomic.Bool // it was read to its end
	buf     []byte
}

var errBusy = errors.New("the body is being read already")

// read returns the next piece, good until the next read; nil at the end.
func (s *source) read() ([]byte, error) {
	if !s.reading.CompareAndSwap(false, true) {
		return nil, errBusy
	}
	defer s.reading.Store(false)
	if s.buf == nil {
		s.buf = make([]byte, piece)
	}
	for {
		n, err := s.body.Read(s.buf)
		switch {
		case n > 0:
			return s.buf[:n], nil
		case errors.Is(err, io.EOF):
			s.ended.Store(true)
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("reading the body: %w", err)
		}
	}
}

// all returns what is left, of at most limit bytes.
func (s *source) all(limit int64) ([]byte, error) {
	if !s.reading.CompareAndSwap(false, true) {
		return nil, errBusy
	}
	defer s.reading.Store(false)
	b, err := io.ReadAll(io.LimitReader(s.body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	s.ended.Store(int64(len(b)) <= limit)
	if int64(len(b)) > limit {
		return nil, &bridge.Exception{Name: "RangeError", Message: "the body is larger than the function's memory: read it as a stream"}
	}
	return b, nil
}

// close ends reads under way.
func (s *source) close() {
	if s.unblock == nil {
		_ = s.body.Close()
	} else if s.reading.Load() {
		s.unblock()
	}
}

// unblockRead returns what ends a read of the request's body: closing it would wait for the read.
func unblockRead(g *guest.Call) func() {
	return func() { _ = http.NewResponseController(g.Writer).SetReadDeadline(time.Now()) }
}

// add keeps a body until the end of the call and returns its number.
func (w *work) add(s *source) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sources = append(w.sources, s)
	return len(w.sources) - 1
}

// source returns the source of a number, nil where there is none.
func (i *isolate) source(v qjs.Value) *source {
	w := i.call.work
	if w == nil || !v.IsNumber() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := v.Int(); n >= 0 && n < len(w.sources) {
		return w.sources[n]
	}
	return nil
}

func bodyFuncs() []hostFunc {
	return []hostFunc{
		{name: "pull", call: (*isolate).pull},
		{name: "readAll", call: (*isolate).readAll},
		{name: "cancel", call: (*isolate).cancel},
		{name: "upload", call: (*isolate).upload},
		{name: "write", call: (*isolate).writeSink},
		{name: "end", call: (*isolate).endSink},
		{name: "abort", call: (*isolate).abortSink},
	}
}

// pull is host.pull(source): a promise of the next piece, null at the end.
func (i *isolate) pull(a args) (qjs.Value, error) {
	s := i.source(a.at(0))
	if s == nil {
		return i.throw("TypeError", "the body is gone")
	}
	return i.later(func(context.Context) (bridge.Value, error) {
		b, err := s.read()
		if b == nil {
			return bridge.Null(), err
		}
		return bridge.Bytes(b), err
	})
}

// readAll is host.readAll(source): a promise of everything that is left.
func (i *isolate) readAll(a args) (qjs.Value, error) {
	s := i.source(a.at(0))
	if s == nil {
		return i.throw("TypeError", "the body is gone")
	}
	limit := i.program.memory
	return i.later(func(context.Context) (bridge.Value, error) {
		b, err := s.all(limit)
		return bridge.Bytes(b), err
	})
}

// cancel is host.cancel(source).
func (i *isolate) cancel(a args) (qjs.Value, error) {
	if s := i.source(a.at(0)); s != nil {
		s.close()
	}
	return qjs.Undefined, nil
}

// upload is host.upload(): a sink for the body of a request that is made.
func (i *isolate) upload(args) (qjs.Value, error) {
	c := i.call
	if len(c.uploads) >= maxOps {
		return i.throw("RangeError", "too many requests are under way at once")
	}
	if c.uploads == nil {
		c.uploads = map[int]*upload{}
	}
	c.background()
	c.nextSink++
	r, w := io.Pipe()
	c.uploads[c.nextSink] = &upload{r: r, w: w}
	return qjs.Int(int32(c.nextSink)), nil
}

// upload is the body of a request that is made.
type upload struct {
	r *io.PipeReader
	w *io.PipeWriter
}

func (u *upload) close() {
	_ = u.w.CloseWithError(errCut)
	_ = u.r.CloseWithError(errCut)
}

// writeSink is host.write(sink, bytes): a promise that is kept when they are written.
func (i *isolate) writeSink(a args) (qjs.Value, error) {
	c := i.call
	view, ok, err := i.js.View(a.at(1))
	if err != nil {
		return 0, err
	}
	if !ok {
		return i.throw("TypeError", "a body is made of bytes")
	}
	b := append([]byte{}, view...)
	n := a.at(0).Int()
	if u := c.uploads[n]; u != nil {
		return i.later(func(context.Context) (bridge.Value, error) {
			_, err := u.w.Write(b)
			return bridge.Undefined(), err
		})
	}
	if n != 0 || c.answer.state != streaming {
		return i.throw("TypeError", "the body is closed")
	}
	return i.later(func(context.Context) (bridge.Value, error) {
		if c.Request.Method == http.MethodHead || !c.answer.bodied() {
			return bridge.Undefined(), nil
		}
		_, err := c.Writer.Write(b)
		if err == nil {
			_ = http.NewResponseController(c.Writer).Flush()
			return bridge.Undefined(), nil
		}
		c.answer.err = gone(c, err) // seen after this result was
		return bridge.Undefined(), err
	})
}

// endSink is host.end(sink).
func (i *isolate) endSink(a args) (qjs.Value, error) {
	c, n := i.call, a.at(0).Int()
	if u := c.uploads[n]; u != nil {
		_ = u.w.Close()
		delete(c.uploads, n)
	} else if n == 0 && c.answer.state == streaming {
		c.answer.state = complete
	}
	return qjs.Undefined, nil
}

// abortSink is host.abort(sink): there will be no more and it is not complete.
func (i *isolate) abortSink(a args) (qjs.Value, error) {
	c, n := i.call, a.at(0).Int()
	if u := c.uploads[n]; u != nil {
		u.close()
		delete(c.uploads, n)
	} else if n == 0 && c.answer.state == streaming {
		c.answer.state = aborted
	}
	return qjs.Undefined, nil
}
