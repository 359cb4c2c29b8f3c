//go:build linux

package httpwasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// Kinds of body.
const (
	requestBody  = 0
	responseBody = 1
)

// end is added to the result of read_body with the last piece.
const end = 1 << 32

// readBody: kind, buf, buf_limit → eof<<32 | length. It gives what is there, at least one byte or the end.
func readBody(i *vm.Instance, stack []uint64) {
	to := bindings.Read(i, stack[1], stack[2])
	if len(to) == 0 {
		i.Fail(errors.New("read_body was given a buffer without room"))
	}
	switch uint32(stack[0]) {
	case requestBody:
		readRequest(i, to, stack)
	case responseBody:
		x := answering(i, "the body")
		if x.held == nil {
			i.Fail(errors.New("there is no answer yet whose body could be read"))
		}
		n, eof := x.held.readInto(to)
		stack[0] = uint64(n)
		if eof {
			stack[0] |= end
		}
	default:
		i.Fail(fmt.Errorf("%d is not a kind of body", uint32(stack[0])))
	}
}

func readRequest(i *vm.Instance, to []byte, stack []uint64) {
	x := during(i)
	keep := x.has(bufferRequest)
	if x.after && !keep {
		i.Fail(errors.New("the request's body can be read after the next handler with the feature buffer_request only"))
	}
	body := x.body()
	i.State.(*isolate).flush()
	i.Pause()
	n, err := 0, error(nil)
	// A body of known length fills the buffer; of one that is streamed each piece is handed on as it comes.
	for n < len(to) && err == nil && (n == 0 || x.r.ContentLength >= 0) {
		var more int
		more, err = body.read(to[n:], keep)
		n += more
	}
	i.Resume()
	stack[0] = uint64(n)
	switch {
	case errors.Is(err, io.EOF):
		stack[0] |= end
	case err != nil && errors.Is(i.Context().Err(), context.DeadlineExceeded):
		i.Fail(guest.ErrTimeout)
	case err != nil:
		i.Fail(fmt.Errorf("reading the request's body: %w", err))
	}
}

// writeBody: kind, body, body_len.
func writeBody(i *vm.Instance, stack []uint64) {
	b := bindings.Read(i, stack[1], stack[2])
	switch uint32(stack[0]) {
	case requestBody:
		x := before(i, "the request's body")
		if x.given == nil {
			x.given = &bytes.Buffer{}
		}
		if int64(x.given.Len()+len(b)) > x.limit {
			i.Fail(errTooMuch)
		}
		x.given.Write(b)
	case responseBody:
		x := answering(i, "the body")
		if x.has(bufferResponse) && !x.sent {
			x.hold() // so that the status and headers may still change
		}
		i.Pause()
		var err error
		if x.held != nil {
			err = x.held.replace(b)
			x.tooMuch = x.held.fault
		} else {
			err = x.write(b)
		}
		i.Resume()
		if err != nil {
			i.Fail(err)
		}
	default:
		i.Fail(fmt.Errorf("%d is not a kind of body", uint32(stack[0])))
	}
}
