//go:build linux

package js

import (
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// failure is an exception, described.
type failure struct {
	what  string // "TypeError: x is not a function"
	stack string // as the engine has it
}

// outOfMemory is what the engine throws past its memory limit.
const outOfMemory = "InternalError: out of memory"

// interrupted is what the engine throws when it is interrupted.
const interrupted = "InternalError: interrupted"

// grace is how long before its CPU limit JavaScript is interrupted: time to say where it was. Code that is not asked (one
// long operation of the engine's own) is ended by the machine at the limit itself.
const grace = 10 * time.Millisecond

// interrupt is asked by the engine now and then.
func interrupt(inst *vm.Instance) bool {
	i, ok := inst.State.(*isolate)
	if ok && !i.cut && i.call != nil {
		i.cut = inst.Left() < min(grace, i.call.CPU/8)
	}
	return ok && i.cut
}

// ended is the error of a call whose JavaScript was interrupted, nil where it was not. The exception is pending.
func (i *isolate) ended() error {
	if !i.cut || i.call == nil {
		return nil
	}
	i.cut = false // for describe
	what, stack, err := i.caught()
	if err != nil {
		return err
	}
	i.cut = true
	if what == interrupted {
		i.log(stderr, i.program.trace.message("", guest.ErrCPU.Error()+"; it was here:", stack))
	}
	return guest.ErrCPU
}

// limit returns guest.ErrMemory where the failure is that limit's.
func (f *failure) limit() error {
	if f.what == outOfMemory {
		return guest.ErrMemory
	}
	return nil
}

// rejection is a promise that was rejected while nobody listened.
type rejection struct{ promise, reason qjs.Value }

// maxRejections bounds how many are remembered until jobs are done.
const maxRejections = 100

// caught describes the pending exception.
func (i *isolate) caught() (what, stack string, err error) {
	v, err := i.js.Caught()
	if err != nil {
		return "", "", err
	}
	if what, stack, err = i.describe(v); err != nil {
		return "", "", err
	}
	return what, stack, i.js.Free(v)
}

// describe returns what a thrown value says, and its stack.
func (i *isolate) describe(v qjs.Value) (what, stack string, err error) {
	if i.x.Describe == 0 { // the runtime itself does not load
		what, _, err = i.js.Text(v)
		return what, "", err
	}
	pair, err := i.js.Call(i.x.Describe, qjs.Undefined, v)
	if err != nil {
		return "", "", err
	}
	if pair == qjs.Exception {
		e, err := i.js.Caught()
		if err != nil {
			return "", "", err
		}
		return outOfMemory, "", i.js.Free(e) // or out of stack: describe itself catches everything else
	}
	var parts [2]string
	for n := range parts {
		p, err := i.js.Index(pair, n)
		if err != nil {
			return "", "", err
		}
		if parts[n], err = i.text(p); err != nil {
			return "", "", err
		}
		if err := i.js.Free(p); err != nil {
			return "", "", err
		}
	}
	return parts[0], parts[1], i.js.Free(pair)
}

// rejected is told of rejections by the engine.
func rejectedIn(i *isolate, promise, reason qjs.Value, handled bool) error {
	if handled {
		for n, r := range i.rejects {
			if r.promise == promise {
				i.rejects = append(i.rejects[:n], i.rejects[n+1:]...)
				if err := i.js.Free(r.promise); err != nil {
					return err
				}
				return i.js.Free(r.reason)
			}
		}
		return nil
	}
	if len(i.rejects) < maxRejections {
		i.rejects = append(i.rejects, rejection{i.js.Dup(promise), i.js.Dup(reason)})
	}
	return nil
}

// reportRejections logs the rejections that nobody has handled by now.
func (i *isolate) reportRejections() error {
	for len(i.rejects) > 0 {
		r := i.rejects[0]
		i.rejects = i.rejects[1:]
		what, stack, err := i.describe(r.reason)
		if err != nil {
			return err
		}
		if i.call != nil {
			i.log(stderr, i.program.trace.message("Uncaught (in promise) ", what, stack))
		}
		if err := i.js.Free(r.promise); err != nil {
			return err
		}
		if err := i.js.Free(r.reason); err != nil {
			return err
		}
	}
	return nil
}

// report is host.report(how, what, stack): an exception of a callback.
func (i *isolate) report(a args) (qjs.Value, error) {
	how, what, stack, err := i.three(a)
	if err == nil && i.call != nil {
		i.log(stderr, i.program.trace.message(how, what, stack))
	}
	return qjs.Undefined, err
}

// fail is host.fail(what, stack): the handler threw.
func (i *isolate) fail(a args) (qjs.Value, error) {
	what, stack, _, err := i.three(a)
	if err == nil && i.call.failed == nil {
		i.call.failed = &failure{what: what, stack: stack}
	}
	return qjs.Undefined, err
}

func (i *isolate) three(a args) (x, y, z string, err error) {
	if x, err = i.text(a.at(0)); err != nil {
		return
	}
	if y, err = i.text(a.at(1)); err != nil {
		return
	}
	z, err = i.text(a.at(2))
	return
}

// The streams of World.Log.
const (
	stdout = "stdout"
	stderr = "stderr"
)

// print is host.log(level, text); level 0 is stdout.
func (i *isolate) print(a args) (qjs.Value, error) {
	text, err := i.text(a.at(1))
	if err != nil || i.call == nil {
		return qjs.Undefined, err
	}
	stream := stdout
	if a.at(0).Int() != 0 {
		stream = stderr
	}
	i.log(stream, text)
	return qjs.Undefined, nil
}

// log writes text to the log of the call, line by line.
func (i *isolate) log(stream, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		i.call.World.Log(stream, line)
	}
}

// trace is host.trace(stack): the stack with the author's files and lines.
func (i *isolate) trace(a args) (qjs.Value, error) {
	stack, err := i.text(a.at(0))
	if err != nil {
		return 0, err
	}
	if i.program == nil {
		return i.js.String(stack)
	}
	return i.js.String(i.program.trace.stack(stack))
}
