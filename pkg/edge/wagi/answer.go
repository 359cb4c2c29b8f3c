//go:build linux

package wagi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// maxHead bounds the head that a command prints, in bytes.
const maxHead = 64 << 10

// flushAfter is how long something printed waits for more before it is sent.
const flushAfter = 20 * time.Millisecond

// answer makes of what a command prints the answer to a request: a head of CGI (RFC 3875, 6), an empty line, the body.
type answer struct {
	w       http.ResponseWriter
	r       *http.Request
	head    []byte // what was printed of it
	sent    bool
	ended   bool // the request's body was read to its end
	dirty   bool // something was written since the last flush
	flushed time.Time
}

func (a *answer) write(p []byte, now time.Time) error {
	if !a.sent {
		a.head = append(a.head, p...)
		end, length := endOfHead(a.head)
		switch {
		case end < 0 && len(a.head) > maxHead:
			return fmt.Errorf("the command printed %d bytes and no empty line that ends its headers", len(a.head))
		case end < 0:
			return nil
		}
		if err := a.sendHead(a.head[:end]); err != nil {
			return err
		}
		p, a.head = a.head[end+length:], nil
	}
	if len(p) == 0 {
		return nil
	}
	if _, err := a.w.Write(p); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return fmt.Errorf("sending the answer: %w", err)
	}
	a.dirty = true
	if a.flushed.IsZero() {
		a.flushed = now
	} else if now.Sub(a.flushed) >= flushAfter {
		a.flush()
		a.flushed = now
	}
	return nil
}

// flush sends what was written so far.
func (a *answer) flush() {
	if a.dirty {
		_ = http.NewResponseController(a.w).Flush() // where it cannot be, it goes out at the end
		a.dirty = false
	}
}

// close ends the answer of a command that left in order.
func (a *answer) close() error {
	if a.sent {
		return nil
	}
	if len(bytes.TrimSpace(a.head)) == 0 {
		return errors.New("the command printed no answer")
	}
	if first, _, _ := bytes.Cut(a.head, []byte{'\n'}); !isHeader(first) {
		return notCGI(first)
	}
	return a.sendHead(bytes.TrimRight(a.head, "\r\n")) // a head alone: "Location: /there"
}

// endOfHead returns where the head ends and how long the empty line behind it is; -1 while it goes on.
func endOfHead(b []byte) (end, length int) {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return -1, 0
		}
		if line := bytes.TrimSuffix(b[at:at+n], []byte{'\r'}); len(line) == 0 {
			return at, n + 1
		}
		at += n + 1
	}
}

func (a *answer) sendHead(head []byte) error {
	h, status := a.w.Header(), 0
	for line := range strings.Lines(string(head)) {
		line = strings.TrimRight(line, "\r\n")
		if !isHeader([]byte(line)) {
			return notCGI([]byte(line))
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value)
		if name != "Status" {
			h.Add(name, value)
			continue
		}
		code, _, _ := strings.Cut(value, " ")
		var err error
		if status, err = strconv.Atoi(code); err != nil || status < http.StatusOK || status > 999 {
			return fmt.Errorf("the command printed Status: %.40q, which is none", value)
		}
	}
	switch {
	case status != 0:
	case h.Get("Location") != "":
		status = http.StatusFound
	default:
		status = http.StatusOK
	}
	if a.r.ProtoMajor == 1 && !a.ended && a.r.Body != nil && a.r.Body != http.NoBody {
		// Otherwise net/http throws the rest of the body away before it writes.
		_ = http.NewResponseController(a.w).EnableFullDuplex()
	}
	a.sent = true
	a.w.WriteHeader(status)
	return nil
}

// isHeader tells whether a line is "Name: value".
func isHeader(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte{':'})
	return ok && len(name) > 0 && bytes.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
	}) < 0
}

func notCGI(line []byte) error {
	return model.Invalid("the command does not answer as CGI programs do").
		WithWhy("it printed %.60q where headers were expected", strings.TrimRight(string(line), "\r")).
		WithHint("print \"Content-Type: text/plain\" and an empty line first; log goes to standard error")
}
