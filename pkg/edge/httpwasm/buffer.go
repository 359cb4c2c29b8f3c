//go:build linux

package httpwasm

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// errTooMuch says that a body which is kept for the guest is larger than the memory of an isolate.
var errTooMuch = errors.New("a body is larger than limits.memory and cannot be buffered; leave the buffering features out, or raise the limit")

// held is the answer of the next handler, kept for the guest to change.
type held struct {
	header   http.Header
	status   int // 0 until it is written
	body     bytes.Buffer
	at       int   // how far the guest has read
	limit    int64 // bytes
	replaced bool  // the guest wrote a body of its own since the next handler was called
	touched  bool  // it wrote some of it at any time
	fault    error
}

var _ http.ResponseWriter = (*held)(nil)

// Header returns the answer's headers, which are those of the client's answer.
func (h *held) Header() http.Header { return h.header }

// WriteHeader notes the status. Informational answers are not held.
func (h *held) WriteHeader(status int) {
	if h.status == 0 && status >= http.StatusOK {
		h.status = status
	}
}

// Write keeps a piece.
func (h *held) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	if int64(h.body.Len()+len(b)) > h.limit {
		h.fault = errTooMuch
		return 0, errTooMuch
	}
	return h.body.Write(b)
}

// replace is Write by the guest: its first piece takes the place of the body.
func (h *held) replace(b []byte) error {
	if !h.replaced {
		h.replaced, h.fault, h.at = true, nil, 0
		h.body.Reset()
	}
	h.touched = true
	if int64(h.body.Len()+len(b)) > h.limit {
		h.fault = errTooMuch
		return errTooMuch
	}
	h.body.Write(b)
	return nil
}

// readInto gives the guest the next piece.
func (h *held) readInto(to []byte) (n int, eof bool) {
	n = copy(to, h.body.Bytes()[h.at:])
	h.at += n
	return n, h.at == h.body.Len()
}

// replay is a request's body that can be read twice: by the guest, and by the next handler.
type replay struct {
	kept  bytes.Buffer // what was taken from the body so far
	at    int          // how far the guest has read in it
	limit int64        // bytes kept
	lost  bool         // more was taken than is kept
	body  io.Reader
	eof   bool
}

// read gives the guest the next piece. keep says whether the next handler is to see it as well.
func (p *replay) read(to []byte, keep bool) (n int, err error) {
	if n = copy(to, p.kept.Bytes()[p.at:]); n > 0 {
		p.at += n
		return n, nil
	}
	if p.lost {
		return 0, errTooMuch
	}
	if p.eof {
		return 0, io.EOF
	}
	n, err = p.body.Read(to)
	if keep && int64(p.kept.Len()+n) > p.limit {
		return 0, errTooMuch
	}
	if keep {
		p.kept.Write(to[:n])
		p.at = p.kept.Len()
	}
	p.eof = err != nil
	return n, err
}

// again returns the body from its beginning. What the next handler reads is kept for the guest as far as there is room.
func (p *replay) again(body io.ReadCloser) io.ReadCloser {
	return &second{p: p, close: body}
}

type second struct {
	p     *replay
	at    int
	close io.Closer
}

// Read gives what is kept and then the rest.
func (s *second) Read(to []byte) (int, error) {
	p := s.p
	if !p.lost {
		if n := copy(to, p.kept.Bytes()[s.at:]); n > 0 {
			s.at += n
			return n, nil
		}
	}
	if p.eof {
		return 0, io.EOF
	}
	n, err := p.body.Read(to)
	if p.lost = p.lost || int64(p.kept.Len()+n) > p.limit; !p.lost {
		p.kept.Write(to[:n])
		s.at = p.kept.Len()
	}
	p.eof = err != nil
	return n, err
}

// Close closes the body.
func (s *second) Close() error { return s.close.Close() }
