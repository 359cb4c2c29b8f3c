//go:build linux

package js

import (
	"errors"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// errStuck says that a handler waits for something that cannot come.
var errStuck = errors.New("nothing is left that could settle the handler's promise")

// loop runs jobs, timers and results until done says so. It returns errStuck when nothing is left to wait for.
func (i *isolate) loop(done func() bool) error {
	c := i.call
	for {
		if err := i.drain(); err != nil {
			return err
		}
		if done() {
			return nil
		}
		if len(c.ops) == 0 && len(c.timers.due) == 0 {
			return errStuck
		}
		if err := i.wait(); err != nil {
			return err
		}
	}
}

// wait waits for one thing and lets the guest have it.
func (i *isolate) wait() error {
	c := i.call
	var alarm <-chan time.Time
	if at, ok := c.timers.next(); ok {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		alarm = t.C
	}
	deadline := time.NewTimer(time.Until(c.Deadline))
	defer deadline.Stop()
	var results chan func() error
	if c.work != nil {
		results = c.work.results
	}
	i.vm.Pause()
	var settle func() error
	fired := false
	var err error
	select {
	case settle = <-results:
	case <-alarm:
		fired = true
	case <-c.ctx.Done():
		err = over(c.ctx, c.Deadline)
	case <-deadline.C:
		err = guest.ErrTimeout
	}
	i.vm.Resume()
	switch {
	case err != nil:
		return err
	case fired:
		return i.fireTimers()
	}
	return settle()
}

// drain runs the jobs that are pending, then tells of rejections nobody handled.
func (i *isolate) drain() error {
	for {
		more, err := i.js.Job()
		if err == nil {
			err = i.ended()
		}
		if err != nil {
			return limit(err)
		}
		if !more {
			return i.reportRejections()
		}
	}
}

// limit maps what the engine says about memory.
func limit(err error) error {
	if errors.Is(err, qjs.ErrOutOfMemory) {
		return guest.ErrMemory
	}
	return err
}
