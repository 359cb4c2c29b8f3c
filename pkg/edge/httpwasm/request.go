//go:build linux

package httpwasm

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// Bounds of what a guest sets, in bytes.
const (
	maxMethod = 64
	maxURI    = 64 << 10
)

// during returns the exchange under way. A guest that asks for it while it starts, or in a job, is ended.
func during(i *vm.Instance) *exchange {
	x := &i.State.(*isolate).x
	if x.call == nil {
		i.Fail(errors.New("the guest asked for the request and there is none: it is starting, or runs a job"))
	}
	return x
}

// before is during for what can be changed only until the next handler has the request.
func before(i *vm.Instance, what string) *exchange {
	x := during(i)
	if x.after {
		i.Fail(fmt.Errorf("%s cannot be changed after the next handler", what))
	}
	return x
}

// answering is during for what can be changed only while the answer is the guest's.
func answering(i *vm.Instance, what string) *exchange {
	x := during(i)
	if x.after && x.held == nil {
		i.Fail(fmt.Errorf("%s of the next handler's answer can be used with the feature buffer_response only", what))
	}
	return x
}

// getMethod: buf, buf_limit → length.
func getMethod(i *vm.Instance, stack []uint64) {
	x := during(i)
	method := x.r.Method
	if method == "" {
		method = http.MethodGet
	}
	stack[0] = uint64(bindings.WriteString(i, stack[0], stack[1], method))
}

// setMethod: method, method_len.
func setMethod(i *vm.Instance, stack []uint64) {
	x := before(i, "the method")
	method := string(bindings.Read(i, stack[0], min(stack[1]&0xffff_ffff, maxMethod+1)))
	if len(method) > maxMethod || !token(method) {
		i.Fail(fmt.Errorf("%q is not a method", method))
	}
	x.own().Method = method
}

// getURI: buf, buf_limit → length of the path with its query.
func getURI(i *vm.Instance, stack []uint64) {
	u := during(i).r.URL
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery == "" && !u.ForceQuery {
		stack[0] = uint64(bindings.WriteString(i, stack[0], stack[1], path))
		return
	}
	n := len(path) + 1 + len(u.RawQuery)
	if uint64(n) <= uint64(uint32(stack[1])) {
		to := bindings.Read(i, stack[0], uint64(n))
		to = to[copy(to, path):]
		to[0] = '?'
		copy(to[1:], u.RawQuery)
	}
	stack[0] = uint64(uint32(n))
}

// setURI: uri, uri_len.
func setURI(i *vm.Instance, stack []uint64) {
	x := before(i, "the URI")
	uri := string(bindings.Read(i, stack[0], min(stack[1]&0xffff_ffff, maxURI+1)))
	if uri == "" {
		uri = "/"
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil || len(uri) > maxURI || u.Host != "" || u.Path == "" {
		i.Fail(fmt.Errorf("%.200q is not a path with a query", uri))
	}
	r := x.own()
	r.RequestURI = uri
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.ForceQuery = u.Path, u.RawPath, u.RawQuery, u.ForceQuery
}

// getProtocolVersion: buf, buf_limit → length.
func getProtocolVersion(i *vm.Instance, stack []uint64) {
	stack[0] = uint64(bindings.WriteString(i, stack[0], stack[1], during(i).r.Proto))
}

// getSourceAddr: buf, buf_limit → length of "192.0.2.7:51234".
func getSourceAddr(i *vm.Instance, stack []uint64) {
	stack[0] = uint64(bindings.WriteString(i, stack[0], stack[1], during(i).r.RemoteAddr))
}

// getStatusCode: → status.
func getStatusCode(i *vm.Instance, stack []uint64) { stack[0] = uint64(during(i).code()) }

// setStatusCode: status.
func setStatusCode(i *vm.Instance, stack []uint64) {
	x := answering(i, "the status")
	status := int(uint32(stack[0]))
	if status < http.StatusOK || status > 999 {
		i.Fail(fmt.Errorf("%d is not a status of an answer", status))
	}
	if x.sent && status != x.status {
		i.Fail(fmt.Errorf("the status cannot become %d: %d is on its way already", status, x.status))
	}
	x.status = status
}
