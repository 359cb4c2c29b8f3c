package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// errWaited says that a call's time ended before its turn came.
var errWaited = errors.New("it waited for its turn until its time was up")

// call is one call of a function and what it may ask of the world.
type call struct {
	f        *function
	ctx      context.Context // of all of it; waitUntil included
	stop     context.CancelFunc
	cause    atomic.Pointer[error] // why it was stopped before its time; nil: it was not
	deadline time.Time
	hops     int          // functions the request went through before
	isolate  *isolate     // between take and give
	inside   bool         // of the gate
	fetches  atomic.Int64 // outbound requests

	logged struct {
		sync.Mutex
		bytes int64
		full  bool
	}
}

// newCall begins a call of f; errGone where the function is being removed. Who gets a call calls done.
func (f *function) newCall(ctx context.Context, hops int) (*call, error) {
	c := &call{f: f, hops: hops, deadline: time.Now().Add(f.limits.Timeout.Std())}
	if hops >= maxHops {
		return nil, errLoop
	}
	c.ctx, c.stop = context.WithDeadline(context.WithoutCancel(ctx), c.deadline)
	if !f.begin(c) {
		c.stop()
		return nil, errGone
	}
	return c, nil
}

// cancel ends the call; the first cause counts.
func (c *call) cancel(cause error) {
	if c.ctx.Err() == nil {
		c.cause.CompareAndSwap(nil, &cause)
	}
	c.stop()
}

// ended returns why the call was ended from outside; nil while it was not.
func (c *call) ended() error {
	if cause := c.cause.Load(); cause != nil {
		return *cause
	}
	return c.ctx.Err()
}

// run does the call: it waits for its turn, takes an isolate and runs what do does with it. What the code still has to do
// afterwards goes on by itself, and done is called when all has ended. ctx is that of the client: when it ends, so does
// the call, until the answer is complete.
func (c *call) run(ctx context.Context, do func(guest.Isolate) (rest func(context.Context) error, err error)) (err error) {
	unhook := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	defer unhook()
	rest, err := c.serve(do)
	if err != nil {
		err = c.reason(err)
		c.done(false)
		return err
	}
	switch {
	case rest != nil:
		c.f.host.tasks.Go(func() { c.finish(rest) })
	case c.f.fresh():
		c.f.host.tasks.Go(func() { c.finish(nil) })
	default:
		c.done(true)
	}
	return nil
}

func (c *call) serve(do func(guest.Isolate) (func(context.Context) error, error)) (rest func(context.Context) error, err error) {
	defer c.f.host.recovered("calling a function", &err)
	if err := c.f.gate.enter(c.ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errWaited
		}
		return nil, err
	}
	c.inside = true
	if c.isolate, err = c.f.take(c.ctx); err != nil {
		return nil, err
	}
	return do(c.isolate.Isolate)
}

// finish does what is left after the answer: waitUntil, and bringing the isolate back to its first state.
func (c *call) finish(rest func(context.Context) error) {
	err := c.after(rest)
	if err != nil {
		c.f.counts.errors.Add(1)
		c.f.log("error after the answer: %s", c.reason(err))
	}
	c.done(err == nil)
}

func (c *call) after(rest func(context.Context) error) (err error) {
	defer c.f.host.recovered("finishing a call of a function", &err)
	if rest != nil {
		if err := rest(c.ctx); err != nil {
			return err
		}
	}
	if !c.f.fresh() {
		return nil
	}
	if err := c.isolate.Reset(c.ctx); err != nil {
		// No fault of the code's: the next request gets a new isolate.
		c.f.host.cfg.Logger.Debug().Err(err).Str("function", c.f.spec.Name).Msg("an isolate cannot be reset")
		i := c.isolate
		c.isolate = nil
		c.f.give(context.WithoutCancel(c.ctx), i, false)
	}
	return nil
}

// done ends the call. good tells whether its isolate may be used again.
func (c *call) done(good bool) {
	if c.isolate != nil {
		c.f.give(context.WithoutCancel(c.ctx), c.isolate, good)
		c.isolate = nil
	}
	if c.inside {
		c.f.gate.leave()
	}
	c.stop()
	c.f.finish(c)
}

// reason finds out why a call failed: what ended it from outside counts more than what the code made of it.
func (c *call) reason(err error) error {
	cause := c.ended()
	switch {
	case cause == nil, errors.Is(err, guest.ErrCPU), errors.Is(err, guest.ErrMemory), errors.Is(err, errWaited), errors.Is(err, errPanic):
		return err
	case errors.Is(cause, context.DeadlineExceeded):
		return guest.ErrTimeout
	case errors.Is(err, cause):
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// fresh tells whether each request begins with the first state.
func (f *function) fresh() bool { return f.spec.Function.Isolation == model.IsolationRequest }

// gaveUp tells whether a call ended because its client went away.
func gaveUp(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled) || errors.Is(err, http.ErrAbortHandler)
}
