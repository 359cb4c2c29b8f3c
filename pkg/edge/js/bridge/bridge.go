// Package bridge is what pkg/edge/js (the engine and the event loop) and pkg/edge/js/web (the web platform's classes)
// agree on: Go functions that JavaScript calls, and the values that cross.
//
// # The prelude
//
// web.Source() is one classic script. It is evaluated once, when the engine boots, and what it leaves behind is part of
// every isolate. While it runs there is a global object `host`, gone afterwards: keep what is needed in a closure. Each
// Function is a property of it by its name: host.sha256(bytes). The script puts classes on globalThis itself.
//
// What the runtime script of pkg/edge/js, evaluated right after it, needs from the prelude is put on `host` by the
// prelude (JavaScript functions; "pairs" is a flat array [name, value, name, value …] of strings, names in lower case):
//
//	host.newRequest(method, url, pairs, source, signal) → Request
//	host.newResponse(status, statusText, pairs, source, url, redirected) → Response   // its headers are immutable
//	host.readRequest(request)  → {method, url, headers: pairs, body, redirect, signal}
//	host.readResponse(response) → {status, statusText, headers: pairs, body}           // status 0 for Response.error()
//	host.abort(signal, reason)                                                         // fires the signal of newRequest
//
// In newRequest and newResponse url may be a string or a function that returns it, and pairs an array or a function that
// returns one; such a function is called once, when first needed: a handler that never looks at the headers does not pay
// for them. signal in newRequest is made lazily by the prelude when it is undefined. source is null (no body) or an
// object of the runtime:
//
//	source.pull()        → Promise<Uint8Array | null>   // the next piece, null at the end; one call at a time
//	source.cancel(reason)                               // nobody reads on
//	source.all()         → Promise<Uint8Array>          // everything that is left at once, for text(), json() …
//
// The ReadableStream over a source is made when .body is first looked at. read… take the body away (it is used from
// then on) and throw a TypeError where it is used or locked already. The body they return is null, a string, a
// Uint8Array, a ReadableStream, or an untouched source as it came in. A string body is handed over as the string it is.
//
// Package jstest runs scripts with a prelude in the real engine, for tests.
//
// # What tampering must not do
//
// User code shares the realm. Prelude code keeps the primordials it relies on in its closure before user code runs, so
// that a changed prototype breaks the program that changed it and nothing else; host functions check every argument.
package bridge

import "context"

// Function is a Go function JavaScript calls by name. It runs on the isolate's goroutine while the guest waits, its time
// counts as the guest's CPU time: it must not block, for that there is Later. It is called from many isolates at once.
//
// Too few arguments are Undefined (see Args). An *Exception returned is thrown as that; any other error is thrown as a
// TypeError with its text.
type Function struct {
	Name string // an identifier
	Live bool   // only within a call: at a program's top level it throws, since what it returns would be frozen into a snapshot
	Call func(ctx context.Context, args Args) (Value, error)
}

// Args are the arguments of one call. Their bytes are views of guest memory: they may be written to (that is how
// getRandomValues works) and are gone when the call returns.
type Args []Value

// At returns argument i, Undefined where it was not given.
func (a Args) At(i int) Value {
	if i < 0 || i >= len(a) {
		return Undefined()
	}
	return a[i]
}

// String returns argument i where it is a string, else "".
func (a Args) String(i int) string { return a.At(i).str }

// Number returns argument i where it is a number, else 0.
func (a Args) Number(i int) float64 {
	if v := a.At(i); v.kind == KindNumber {
		return v.num
	}
	return 0
}

// Bool returns argument i where it is a boolean, else false.
func (a Args) Bool(i int) bool { v := a.At(i); return v.kind == KindBool && v.num != 0 }

// Bytes returns argument i where it is an ArrayBuffer, a typed array or a DataView, else nil.
func (a Args) Bytes(i int) []byte { return a.At(i).bytes }

// Exception is a JavaScript exception a Function throws.
type Exception struct {
	Name    string // TypeError, RangeError, SyntaxError, Error; any other name makes a DOMException: "DataError"
	Message string
}

// Error returns what JavaScript would print.
func (e *Exception) Error() string { return e.Name + ": " + e.Message }

// Throw makes an Exception.
func Throw(name, message string) error { return &Exception{Name: name, Message: message} }
