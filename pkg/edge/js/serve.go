//go:build linux

package js

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/model"
)

// Serve answers a request. Before an error that is a limit nothing was written, unless the answer had begun: then the
// connection is to be cut.
func (i *isolate) Serve(ctx context.Context, g *guest.Call) (rest func(context.Context) error, err error) {
	if i.program.handlers&handlesFetch == 0 {
		return nil, model.Invalid("the function has no fetch handler").WithHint("export default { async fetch(request, env, ctx) { … } }")
	}
	c := i.begin(ctx, g)
	body := g.Request.Body != nil && g.Request.Body != http.NoBody
	if body {
		w := c.background()
		c.incoming = &source{body: g.Request.Body, unblock: unblockRead(g)}
		w.sources = append(w.sources, c.incoming)
	}
	if err = i.enter(i.x.Dispatch, qjs.Int(methodNumber(g.Request.Method)), qjs.Bool(body)); err == nil {
		err = i.loop(func() bool { return c.answer.state != unanswered || c.failed != nil })
	}
	switch {
	case errors.Is(err, errStuck):
		c.failed = &failure{what: "Error: the handler's promise will never be settled: nothing is left that it could wait for"}
	case err != nil:
		i.end()
		return nil, err
	}
	if err := i.write(); err != nil {
		i.end()
		return nil, err
	}
	return i.after()
}

// enter calls one of the runtime's entry points, which throw nothing but what they had no memory or stack to catch.
func (i *isolate) enter(f qjs.Value, a ...qjs.Value) error {
	v, err := i.js.Call(f, qjs.Undefined, a...)
	if err != nil {
		return limit(err)
	}
	if v == qjs.Exception {
		if err := i.ended(); err != nil {
			return err
		}
		what, stack, err := i.caught()
		if err != nil {
			return err
		}
		i.call.failed = &failure{what: what, stack: stack}
		return nil
	}
	return i.js.Free(v)
}

// after ends the call, or returns what is left to do of it.
func (i *isolate) after() (func(context.Context) error, error) {
	c := i.call
	if c.holds > 0 {
		c.leave()
		left := i.vm.Left()
		return func(ctx context.Context) error {
			c.ctx = ctx
			i.vm.Begin(ctx, left, c.Deadline)
			err := i.loop(func() bool { return c.holds == 0 })
			if errors.Is(err, errStuck) {
				i.log(stderr, "Error: a promise given to waitUntil will never be settled: nothing is left that it could wait for")
				err = nil
			}
			return i.close(err)
		}, nil
	}
	return nil, i.close(i.drain())
}

// close ends the call. err is why the isolate is broken, if it is.
func (i *isolate) close(err error) error {
	if err == nil {
		err = i.release()
	}
	i.end()
	return err
}

// write writes the answer that is ready, or the error page.
func (i *isolate) write() error {
	c := i.call
	if c.failed != nil {
		return i.writeFailure()
	}
	if c.answer.state == streaming {
		err := i.loop(func() bool { return c.answer.state != streaming })
		if err != nil && !errors.Is(err, errStuck) {
			return err
		}
		if c.answer.state != complete {
			if c.answer.err != nil {
				return c.answer.err
			}
			i.logIf(errors.Is(err, errStuck), "Error: the body of the response will never end: nothing is left that it could wait for")
			return errCut
		}
		return nil
	}
	i.vm.Pause()
	defer i.vm.Resume()
	return c.answer.write(c)
}

func (i *isolate) logIf(yes bool, text string) {
	if yes {
		i.log(stderr, text)
	}
}

// errCut says that an answer was begun and cannot be completed.
var errCut = errors.New("the answer ended before it was complete")

// writeFailure answers what the handler threw. What it says stays in the log.
func (i *isolate) writeFailure() error {
	c := i.call
	if err := c.failed.limit(); err != nil {
		return err
	}
	i.log(stderr, i.program.trace.message("Uncaught ", c.failed.what, c.failed.stack))
	h := c.Writer.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	c.Writer.WriteHeader(http.StatusInternalServerError)
	_, _ = c.Writer.Write([]byte("Internal Server Error\n")) // the client may be gone
	return nil
}

// Scheduled runs the scheduled handler and everything it gave to waitUntil. What it throws is the error.
func (i *isolate) Scheduled(ctx context.Context, g *guest.Call, e model.ScheduledEvent) error {
	if i.program.handlers&handlesScheduled == 0 {
		return model.Invalid("the function has no scheduled handler").WithHint("export default { async scheduled(event, env, ctx) { … } }")
	}
	c := i.begin(ctx, g)
	cron, err := i.js.String(e.Cron)
	if err != nil {
		return i.close(limit(err))
	}
	job, err := i.js.String(e.Job)
	if err != nil {
		return i.close(limit(err))
	}
	if err = i.enter(i.x.Scheduled, cron, job, qjs.Float(float64(e.ScheduledTime.UnixMilli()))); err == nil {
		err = i.loop(func() bool { return c.failed != nil || c.answer.state == complete && c.holds == 0 })
	}
	if err == nil && c.failed == nil {
		err = errors.Join(i.js.Free(cron), i.js.Free(job))
	}
	switch {
	case errors.Is(err, errStuck):
		err = fmt.Errorf("running the scheduled handler: %w", err)
	case c.failed != nil:
		if err = c.failed.limit(); err == nil {
			i.log(stderr, i.program.trace.message("Uncaught ", c.failed.what, c.failed.stack))
			err = fmt.Errorf("running the scheduled handler: %s", c.failed.what)
		}
	}
	return i.close(err)
}

// hold is host.hold(n): a promise was given to waitUntil, or is settled.
func (i *isolate) hold(a args) (qjs.Value, error) {
	i.call.holds += a.at(0).Int()
	return qjs.Undefined, nil
}

// finish is host.finish(): the scheduled handler is done.
func (i *isolate) finish(args) (qjs.Value, error) {
	i.call.answer.state = complete
	return qjs.Undefined, nil
}

// methodNumber is the place of a method in METHODS of runtime.js; 0 for others.
func methodNumber(m string) int32 {
	switch m {
	case http.MethodGet:
		return 1
	case http.MethodHead:
		return 2
	case http.MethodPost:
		return 3
	case http.MethodPut:
		return 4
	case http.MethodDelete:
		return 5
	case http.MethodPatch:
		return 6
	case http.MethodOptions:
		return 7
	}
	return 0
}
