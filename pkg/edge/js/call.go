//go:build linux

package js

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// maxOps bounds what one call may wait for at once: reads, writes, requests, look-ups.
const maxOps = 1024

// call is one call of a handler: what it waits for and what it answered.
type call struct {
	*guest.Call
	ctx    context.Context // of whoever waits now: Serve first, then rest
	answer answer
	holds  int // promises given to waitUntil that are not settled
	failed *failure
	timers timers

	incoming *source // the request's body
	duplex   bool    // it may be read while the answer is written

	work     *work // nil until something is waited for
	nextOp   int
	ops      map[int]op
	stops    map[int]context.CancelFunc // of exchanges, by the number the runtime gave them
	uploads  map[int]*upload
	nextSink int
}

// work is what goroutines of a call share. It lives until the call is over, waitUntil included.
type work struct {
	ctx     context.Context
	cancel  context.CancelFunc
	results chan func() error // to be run on the isolate's goroutine
	wg      sync.WaitGroup

	mu      sync.Mutex
	sources []*source
}

// op is one promise that waits for Go.
type op struct{ resolve, reject qjs.Value }

func (c *call) background() *work {
	if c.work == nil {
		ctx, cancel := context.WithDeadline(context.WithoutCancel(c.ctx), c.Deadline)
		c.work = &work{ctx: ctx, cancel: cancel, results: make(chan func() error)}
	}
	return c.work
}

// later returns a promise that is settled with what wait returns. wait runs on a goroutine of its own.
func (i *isolate) later(wait func(ctx context.Context) (bridge.Value, error)) (qjs.Value, error) {
	c := i.call
	if len(c.ops) >= maxOps {
		return i.throw("RangeError", "too many operations are under way at once")
	}
	promise, resolve, reject, err := i.js.Promise()
	if err != nil || promise == qjs.Exception {
		return promise, err
	}
	if c.ops == nil {
		c.ops = map[int]op{}
	}
	c.nextOp++
	id := c.nextOp
	c.ops[id] = op{resolve: resolve, reject: reject}
	w := c.background()
	w.wg.Go(func() {
		v, err := wait(w.ctx)
		select {
		case w.results <- func() error { return i.settle(id, v, err) }:
		case <-w.ctx.Done():
		}
	})
	return promise, nil
}

// settle settles the promise of an operation. It runs with the meter on.
func (i *isolate) settle(id int, v bridge.Value, failed error) error {
	o := i.call.ops[id]
	delete(i.call.ops, id)
	var value qjs.Value
	var err error
	f := o.resolve
	if failed == nil {
		value, err = i.toJS(v)
	} else {
		f = o.reject
		value, err = i.exception(naming(failed))
	}
	if err != nil {
		return err
	}
	if value == qjs.Exception { // no memory for it
		if value, err = i.js.Caught(); err != nil {
			return err
		}
		f = o.reject
	}
	r, err := i.js.Call(f, qjs.Undefined, value)
	if err != nil {
		return err
	}
	return errors.Join(i.js.Free(r), i.js.Free(value), i.js.Free(o.resolve), i.js.Free(o.reject))
}

// begin starts a call. Guest code runs between enter and leave only.
func (i *isolate) begin(ctx context.Context, c *guest.Call) *call {
	i.call = &call{Call: c, ctx: ctx}
	i.vm.Begin(ctx, c.CPU, c.Deadline)
	return i.call
}

// end is the end of a call: what it still waits for is dropped.
func (i *isolate) end() {
	c := i.call
	if w := c.work; w != nil {
		w.cancel()
		w.mu.Lock()
		for _, s := range w.sources {
			s.close()
		}
		w.mu.Unlock()
		for _, u := range c.uploads {
			u.close()
		}
		w.wg.Wait()
	}
	c.leave()
	i.vm.End()
	i.call = nil
}

// leave ends reading the request's body: net/http wants none of it to be read after its handler has returned.
func (c *call) leave() {
	s := c.incoming
	if s == nil {
		return
	}
	s.close()
	if c.duplex {
		c.duplex = false
		if !s.ended.Load() {
			s.unblock()
		}
		_ = s.body.Close()
	}
}

// release gives back what promises of the call hold in the guest; for a guest that lives on.
func (i *isolate) release() error {
	var all error
	for _, o := range i.call.ops {
		all = errors.Join(all, i.js.Free(o.resolve), i.js.Free(o.reject))
	}
	for _, r := range i.rejects {
		all = errors.Join(all, i.js.Free(r.promise), i.js.Free(r.reason))
	}
	i.rejects = nil
	return all
}

// over maps the end of a context to the error of a call.
func over(ctx context.Context, deadline time.Time) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || !time.Now().Before(deadline) {
		return guest.ErrTimeout
	}
	return context.Cause(ctx)
}
