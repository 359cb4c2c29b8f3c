//go:build linux

package js

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// answer is what the handler answers.
type answer struct {
	state   answerState
	status  int
	headers string // "name\nvalue\nname\nvalue"
	body    []byte
	relayed *source // the body, where it is another's that nobody read
	err     error   // why a streamed body could not be written
}

type answerState int

const (
	unanswered answerState = iota
	ready                  // to be written in one go
	streaming              // it has begun
	complete
	aborted // it had begun
)

// respond is host.respond(status, headers, body): an answer whose body is null, a string or bytes.
func (i *isolate) respond(a args) (qjs.Value, error) {
	var body []byte
	if v := a.at(2); v.IsString() {
		s, err := i.text(v)
		if err != nil {
			return 0, err
		}
		body = []byte(s)
	} else if view, ok, err := i.js.View(v); err != nil {
		return 0, err
	} else if ok {
		body = append([]byte{}, view...)
	}
	return i.answered(a, answer{state: ready, body: body})
}

// relay is host.relay(status, headers, source): the body is a source's, untouched.
func (i *isolate) relay(a args) (qjs.Value, error) {
	s := i.source(a.at(2))
	if s == nil {
		return i.throw("TypeError", "the body of the response is gone")
	}
	return i.answered(a, answer{state: ready, relayed: s})
}

// start is host.start(status, headers): the body comes through sink 0.
func (i *isolate) start(a args) (qjs.Value, error) {
	v, err := i.answered(a, answer{state: streaming})
	if err == nil && v == qjs.Undefined { // the first write may follow at once, from another goroutine
		i.vm.Pause()
		i.call.answer.begin(i.call)
		i.vm.Resume()
	}
	return v, err
}

func (i *isolate) answered(a args, n answer) (qjs.Value, error) {
	c := i.call
	if c.answer.state != unanswered || c.Writer == nil {
		return i.throw("TypeError", "the request has its answer already")
	}
	var err error
	if n.headers, err = i.text(a.at(1)); err != nil {
		return 0, err
	}
	n.status = a.at(0).Int()
	if n.status < 200 || n.status > 599 {
		return i.throw("RangeError", "the status of a response is 200 to 599")
	}
	c.answer = n
	return qjs.Undefined, nil
}

// write writes an answer that is ready.
func (a *answer) write(c *call) error {
	if a.relayed != nil {
		return a.pass(c)
	}
	h := a.head(c.Writer)
	if len(a.body) > 0 || a.bodied() {
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	c.Writer.WriteHeader(a.status)
	a.state = complete
	if len(a.body) == 0 || !a.bodied() || c.Request.Method == http.MethodHead {
		return nil
	}
	_, err := c.Writer.Write(a.body)
	return gone(c, err)
}

// pass copies a body from one stream to the other.
func (a *answer) pass(c *call) error {
	a.begin(c)
	flush := http.NewResponseController(c.Writer)
	for {
		b, err := a.relayed.read()
		if err != nil {
			return errCut
		}
		if b == nil {
			a.state = complete
			return nil
		}
		if _, err := c.Writer.Write(b); err != nil {
			return gone(c, err)
		}
		_ = flush.Flush() // a writer that cannot flush is one that need not
	}
}

// begin writes the head of a streamed answer.
func (a *answer) begin(c *call) {
	w := http.NewResponseController(c.Writer)
	if c.incoming != nil && !c.incoming.ended.Load() {
		// The handler may read on while it writes. HTTP/2 always can; HTTP/1 must be told.
		c.duplex = w.EnableFullDuplex() == nil
	}
	a.head(c.Writer)
	c.Writer.WriteHeader(a.status)
	_ = w.Flush()
}

// bodied tells whether the status may have a body.
func (a *answer) bodied() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// head sets the headers. Those about the connection are not the guest's to set.
func (a *answer) head(w http.ResponseWriter) http.Header {
	h := w.Header()
	for rest := a.headers; rest != ""; {
		var name, value string
		name, rest, _ = strings.Cut(rest, "\n")
		value, rest, _ = strings.Cut(rest, "\n")
		switch name {
		case "connection", "keep-alive", "transfer-encoding", "upgrade", "trailer", "te", "proxy-connection":
		case "content-type":
			h["Content-Type"] = []string{value}
		default:
			h.Add(name, value)
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	return h
}

// gone is what a failed write means: the client went away, or the answer is over its limit.
func gone(c *call, err error) error {
	if err == nil {
		return nil
	}
	if c.ctx.Err() != nil {
		return over(c.ctx, c.Deadline)
	}
	return err
}
