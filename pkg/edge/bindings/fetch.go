//go:build linux

package bindings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// maxOpen is how many answers a guest may hold at once. Handles are 1 to maxOpen.
const maxOpen = 16

// Bounds of a request, in bytes: the host holds a copy of it while it is sent.
const (
	maxURL     = 64 << 10
	maxHeaders = 256 << 10
	maxBody    = 16 << 20
)

func httpFuncs() []vm.HostFunc {
	return []vm.HostFunc{
		fn("fetch", 8, vm.I32, httpFetch),
		fn("status", 1, vm.I32, httpStatus),
		fn("header_names", 3, vm.I64, httpHeaderNames),
		fn("header_values", 5, vm.I64, httpHeaderValues),
		fn("read", 3, vm.I64, httpRead),
		fn("close", 1, vm.I32, httpClose),
	}
}

// httpFetch: method, method_len, url, url_len, headers, headers_len, body, body_len → handle. headers are lines as HTTP
// has them: "Name: value\r\n". It returns once the answer's head is there.
func httpFetch(i *vm.Instance, s *State, stack []uint64) {
	slot := slices.Index(s.open[:], nil)
	if slot < 0 {
		s.fault = fmt.Sprintf("%d answers are open; close some", maxOpen)
		stack[0] = i32(Refused)
		return
	}
	r, err := request(i, stack)
	if err != nil {
		stack[0] = i32(s.invalid(err.Error()))
		return
	}
	var answer *http.Response
	s.wait(i, func(ctx context.Context) {
		answer, err = s.world.Fetch(ctx, r.WithContext(ctx)) //nolint:bodyclose // closed by close, or at the end of the call
		if ctx.Err() != nil && err == nil {
			_ = answer.Body.Close() // wait ends the guest now
		}
	})
	if err != nil {
		stack[0] = i32(s.code(err))
		return
	}
	s.open[slot] = &opened{status: answer.StatusCode, header: answer.Header, body: answer.Body}
	stack[0] = i32(int64(slot + 1))
}

func request(i *vm.Instance, stack []uint64) (*http.Request, error) {
	if uint32(stack[1]) > 64 || uint32(stack[3]) > maxURL || uint32(stack[5]) > maxHeaders || uint32(stack[7]) > maxBody {
		return nil, fmt.Errorf("a request may have a URL of %d kB, headers of %d kB and a body of %d MB", maxURL>>10, maxHeaders>>10, maxBody>>20)
	}
	method, url := string(Read(i, stack[0], stack[1])), string(Read(i, stack[2], stack[3]))
	body := bytes.Clone(Read(i, stack[6], stack[7])) // the transport may still send when the guest goes on
	r, err := http.NewRequestWithContext(i.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		r.Body, r.GetBody = nil, nil
	}
	for line := range strings.Lines(string(Read(i, stack[4], stack[5]))) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("%q is not a header line", line)
		}
		if value = textproto.TrimString(value); strings.EqualFold(name, "Host") {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	return r, nil
}

// opened is an answer that the guest reads. What was sent for it is gone.
type opened struct {
	status int
	header http.Header
	body   io.ReadCloser
}

// answer returns what a handle stands for, nil where it stands for nothing.
func (s *State) answer(handle uint64) *opened {
	if h := uint32(handle); h >= 1 && h <= maxOpen {
		return s.open[h-1]
	}
	return nil
}

const noHandle = "the handle is of no open answer"

// httpStatus: handle → status.
func httpStatus(_ *vm.Instance, s *State, stack []uint64) {
	if a := s.answer(stack[0]); a != nil {
		stack[0] = i32(int64(a.status))
		return
	}
	stack[0] = i32(s.invalid(noHandle))
}

// httpHeaderNames: handle, buf, buf_limit → count<<32 | length.
func httpHeaderNames(i *vm.Instance, s *State, stack []uint64) {
	a := s.answer(stack[0])
	if a == nil {
		stack[0] = uint64(s.invalid(noHandle))
		return
	}
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	stack[0] = WriteList(i, stack[1], stack[2], names)
}

// httpHeaderValues: handle, name, name_len, buf, buf_limit → count<<32 | length.
func httpHeaderValues(i *vm.Instance, s *State, stack []uint64) {
	a := s.answer(stack[0])
	if a == nil {
		stack[0] = uint64(s.invalid(noHandle))
		return
	}
	stack[0] = WriteList(i, stack[3], stack[4], a.header.Values(string(Read(i, stack[1], stack[2]))))
}

// httpRead: handle, buf, buf_limit → eof<<32 | length. It waits for at least one byte.
func httpRead(i *vm.Instance, s *State, stack []uint64) {
	a := s.answer(stack[0])
	to := Read(i, stack[1], stack[2])
	switch {
	case a == nil:
		stack[0] = uint64(s.invalid(noHandle))
		return
	case len(to) == 0:
		stack[0] = uint64(s.invalid("the buffer has no room"))
		return
	}
	var n int
	var err error
	s.wait(i, func(context.Context) {
		for n == 0 && err == nil {
			n, err = a.body.Read(to)
		}
	})
	switch {
	case errors.Is(err, io.EOF):
		stack[0] = 1<<32 | uint64(n)
	case err != nil:
		stack[0] = uint64(s.code(err))
	default:
		stack[0] = uint64(n)
	}
}

// httpClose: handle → 0.
func httpClose(_ *vm.Instance, s *State, stack []uint64) {
	if s.answer(stack[0]) == nil {
		stack[0] = i32(s.invalid(noHandle))
		return
	}
	s.drop(int(uint32(stack[0])) - 1)
	stack[0] = 0
}

func (s *State) drop(slot int) {
	if a := s.open[slot]; a != nil {
		_ = a.body.Close()
		s.open[slot] = nil
	}
}
