//go:build linux

package js

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// hostFunc is a Go function that scripts call as host.NAME.
type hostFunc struct {
	name string
	top  bool // may be called while a program's module is evaluated, outside of a call
	call func(i *isolate, a args) (qjs.Value, error)
}

// args are the arguments of a call: borrowed.
type args []qjs.Value

func (a args) at(n int) qjs.Value {
	if n >= len(a) {
		return qjs.Undefined
	}
	return a[n]
}

// own are the functions of the runtime.
func own() []hostFunc {
	return append([]hostFunc{
		{name: "expose", top: true, call: (*isolate).expose},
		{name: "log", top: true, call: (*isolate).print},
		{name: "trace", top: true, call: (*isolate).trace},
		{name: "report", top: true, call: (*isolate).report},
		{name: "timer", call: (*isolate).startTimer},
		{name: "clearTimer", call: (*isolate).clearTimer},
		{name: "hold", call: (*isolate).hold},
		{name: "fail", call: (*isolate).fail},
		{name: "finish", call: (*isolate).finish},
		{name: "env", call: (*isolate).env},
		{name: "method", call: (*isolate).method},
		{name: "url", call: (*isolate).url},
		{name: "headers", call: (*isolate).headers},
		{name: "respond", call: (*isolate).respond},
		{name: "relay", call: (*isolate).relay},
		{name: "start", call: (*isolate).start},
	}, append(bodyFuncs(), append(exchangeFuncs(), kvFuncs()...)...)...)
}

// called is every call of the host by a guest.
func (e *Engine) called(inst *vm.Instance, magic int, _ qjs.Value, a []qjs.Value) (qjs.Value, error) {
	i, ok := inst.State.(*isolate)
	if !ok || magic < 0 || magic >= len(e.hosts) {
		return 0, errors.New("a guest called a host function that is not there")
	}
	f := &e.hosts[magic]
	if i.call == nil && !f.top {
		return i.throw("Error", "this cannot be done while the module is loaded: only handlers may fetch, set timers, read the store and draw random values")
	}
	return f.call(i, a)
}

// bridged makes host functions of those of the prelude.
func bridged(functions []bridge.Function) []hostFunc {
	var all []hostFunc
	for _, f := range functions {
		all = append(all, hostFunc{name: f.Name, top: !f.Live, call: func(i *isolate, a args) (qjs.Value, error) {
			var few [6]bridge.Value
			values := few[:0]
			for _, v := range a {
				b, err := i.fromJS(v)
				if err != nil {
					return 0, err
				}
				values = append(values, b)
			}
			v, err := f.Call(i.context(), values)
			if err != nil {
				return i.thrown(err)
			}
			return i.toJS(v)
		}})
	}
	return all
}

// throw throws an exception from a host function.
func (i *isolate) throw(name, message string) (qjs.Value, error) {
	v, err := i.exception(name, message)
	if err != nil || v == qjs.Exception { // where there is no memory for it the engine threw that itself
		return v, err
	}
	return i.js.Throw(v)
}

// thrown throws what a function of Go returned as an error.
func (i *isolate) thrown(err error) (qjs.Value, error) { return i.throw(naming(err)) }

// exception makes the value that is thrown.
func (i *isolate) exception(name, message string) (qjs.Value, error) {
	n, err := i.js.String(name)
	if err != nil {
		return 0, err
	}
	m, err := i.js.String(message)
	if err != nil {
		return 0, err
	}
	v, err := i.js.Call(i.x.Failure, qjs.Undefined, n, m)
	if err != nil {
		return 0, err
	}
	return v, errors.Join(i.js.Free(n), i.js.Free(m))
}

func naming(err error) (name, message string) {
	var e *bridge.Exception
	switch {
	case errors.As(err, &e):
		return e.Name, e.Message
	case errors.Is(err, context.Canceled):
		return "AbortError", "it was aborted"
	}
	return "TypeError", err.Error()
}

// expose keeps the runtime's functions.
func (i *isolate) expose(a args) (qjs.Value, error) {
	for name, to := range i.x.names() {
		v, err := i.js.Get(a.at(0), name)
		if err != nil {
			return 0, err
		}
		*to = v
	}
	return qjs.Undefined, nil
}

// rejected is every rejection a guest has.
func rejected(inst *vm.Instance, promise, reason qjs.Value, handled bool) error {
	i, ok := inst.State.(*isolate)
	if !ok {
		return errors.New("a guest without an isolate rejected a promise")
	}
	return rejectedIn(i, promise, reason, handled)
}
