package api

import "net/http"

// The headers of invoking a function. The request's body is sent as it is and the answer's body comes as it is, so that
// both stream; what else there is of them stands in these headers as JSON.
const (
	InvocationHeader = "Pandabox-Invocation" // of the request: Invocation
	InvokedHeader    = "Pandabox-Invoked"    // of the answer: Invoked
)

// MaxInvocation bounds the body of a request that invokes a function, in bytes.
const MaxInvocation = 100 << 20

// Invocation is the request a function is given, without its body.
type Invocation struct {
	Method  string      `json:"method,omitempty"`  // "" means GET
	Path    string      `json:"path,omitempty"`    // with its query: "/greet?name=Ada"; "" means "/"
	Headers http.Header `json:"headers,omitempty"` // Host says which host is asked for; "" means the function's first domain
}

// Invoked is what a function answered, without its body.
type Invoked struct {
	Status  int         `json:"status"`
	Headers http.Header `json:"headers"`
}
