//go:build linux

package httpwasm

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// Kinds of headers.
const (
	requestHeader = iota
	responseHeader
	requestTrailer
	responseTrailer
)

// What a guest may set as headers in one request, in bytes, and what one costs beside its text.
const (
	maxHeaders = 256 << 10
	perHeader  = 64
)

// fields is one set of headers as a guest sees it. Trailers of the answer are kept as net/http wants them: among the
// headers, with a prefix.
type fields struct {
	x      *exchange
	kind   uint32
	prefix string
}

// look returns the headers of a kind to be read.
func look(i *vm.Instance, kind uint32) fields {
	x := during(i)
	switch kind {
	case requestHeader, responseHeader:
		return fields{x, kind, ""}
	case requestTrailer, responseTrailer:
		if !x.has(trailers) {
			i.Fail(errors.New("trailers can be used with the feature trailers only"))
		}
		if kind == responseTrailer {
			return fields{x, kind, http.TrailerPrefix}
		}
		return fields{x, kind, ""}
	}
	i.Fail(fmt.Errorf("%d is not a kind of header", kind))
	return fields{}
}

// change is look for headers to be changed.
func change(i *vm.Instance, kind uint32) fields {
	f := look(i, kind)
	switch kind {
	case requestHeader, requestTrailer:
		before(i, "a header of the request")
		f.x.own()
	default:
		answering(i, "a header")
	}
	return f
}

func (f fields) header() http.Header {
	switch f.kind {
	case requestHeader:
		return f.x.r.Header
	case requestTrailer:
		if f.x.r.Trailer == nil && f.x.owned {
			f.x.r.Trailer = http.Header{}
		}
		return f.x.r.Trailer
	}
	return f.x.w.Header()
}

// hidden tells whether a name of the map is not one of the set: trailers among headers, and the other way round.
func (f fields) hidden(name string) bool {
	return strings.HasPrefix(name, http.TrailerPrefix) != (f.prefix != "")
}

// getHeaderNames: kind, buf, buf_limit → count<<32 | length.
func getHeaderNames(i *vm.Instance, stack []uint64) {
	f := look(i, uint32(stack[0]))
	s := i.State.(*isolate)
	list := s.list[:0]
	if f.kind == requestHeader && f.x.r.Host != "" {
		list = append(list, "Host")
	}
	for name := range f.header() {
		if !f.hidden(name) {
			list = append(list, name[len(f.prefix):])
		}
	}
	slices.Sort(list)
	s.list = list
	n := 0
	for _, name := range list {
		n += len(name) + 1
	}
	if n > 0 && uint64(n) <= uint64(uint32(stack[2])) {
		to := bindings.Read(i, stack[1], uint64(n))
		for _, name := range list {
			for j := range len(name) {
				if to[j] = name[j]; name[j] >= 'A' && name[j] <= 'Z' {
					to[j] += 'a' - 'A'
				}
			}
			to[len(name)] = 0
			to = to[len(name)+1:]
		}
	}
	stack[0] = uint64(len(list))<<32 | uint64(uint32(n))
	clear(s.list)
}

// name reads the name of a header from the guest.
func name(i *vm.Instance, at, n uint64) string {
	b := bindings.Read(i, at, n)
	found := i.State.(*isolate).words.canonical(b)
	if found == "" {
		i.Fail(fmt.Errorf("%.100q is not the name of a header", b))
	}
	return found
}

// getHeaderValues: kind, name, name_len, buf, buf_limit → count<<32 | length.
func getHeaderValues(i *vm.Instance, stack []uint64) {
	f := look(i, uint32(stack[0]))
	key := name(i, stack[1], stack[2])
	if f.kind == requestHeader && key == "Host" {
		n := bindings.WriteList(i, stack[3], stack[4], append(i.State.(*isolate).list[:0], f.x.r.Host))
		stack[0] = n
		return
	}
	stack[0] = bindings.WriteList(i, stack[3], stack[4], f.header()[f.key(key)])
}

func (f fields) key(name string) string {
	if f.prefix == "" {
		return name
	}
	return f.prefix + name
}

// setHeaderValue: kind, name, name_len, value, value_len.
func setHeaderValue(i *vm.Instance, stack []uint64) { putHeader(i, stack, false) }

// addHeaderValue: kind, name, name_len, value, value_len.
func addHeaderValue(i *vm.Instance, stack []uint64) { putHeader(i, stack, true) }

func putHeader(i *vm.Instance, stack []uint64, add bool) {
	f := change(i, uint32(stack[0]))
	key := name(i, stack[1], stack[2])
	b := bindings.Read(i, stack[3], stack[4])
	if bytes.ContainsAny(b, "\r\n\x00") {
		i.Fail(fmt.Errorf("the value of header %s has a line break in it", key))
	}
	if f.x.headers += len(key) + len(b) + perHeader; f.x.headers > maxHeaders {
		i.Fail(fmt.Errorf("the guest set more than %d kB of headers", maxHeaders>>10))
	}
	value := i.State.(*isolate).words.text(b)
	if f.kind == requestHeader && key == "Host" {
		f.x.r.Host = value
		return
	}
	if f.kind == responseTrailer && f.x.sent && f.x.held == nil && f.x.flushed.IsZero() {
		f.x.flush(time.Now()) // net/http has trailers for bodies it does not know the length of
	}
	h, key := f.header(), f.key(key)
	if add {
		h[key] = append(h[key], value)
		return
	}
	h[key] = []string{value}
}

// removeHeader: kind, name, name_len.
func removeHeader(i *vm.Instance, stack []uint64) {
	f := change(i, uint32(stack[0]))
	delete(f.header(), f.key(name(i, stack[1], stack[2])))
}
