//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// Begin starts the meter of one call: cpu is the time that guest code may use, deadline the end of the call. Until End, ctx
// is what host functions wait with, and its end ends the guest too.
func (i *Instance) Begin(ctx context.Context, cpu time.Duration, deadline time.Time) {
	i.call.Context = ctx
	i.meter = meter{left: cpu, deadline: deadline, since: time.Now(), running: true}
}

// End stops the meter and returns the CPU time that the call used.
func (i *Instance) End() time.Duration {
	i.charge(time.Now())
	i.meter.running = false
	i.call.Context = nil
	return i.meter.used
}

// Pause stops the clock of CPU time; a host function calls it before it waits, and Resume after. Pairs may be nested.
func (i *Instance) Pause() {
	if i.meter.paused == 0 {
		i.charge(time.Now())
	}
	i.meter.paused++
}

// Resume undoes one Pause.
func (i *Instance) Resume() {
	if i.meter.paused--; i.meter.paused == 0 {
		i.meter.since = time.Now()
	}
}

// Fail ends the guest from within a host function: the call of the guest returns err. It does not return.
func (i *Instance) Fail(err error) {
	i.stopped = err
	panic(errStopped)
}

// Context is that of the call under way, for host functions that wait; context.Canceled long since where there is none.
func (i *Instance) Context() context.Context { return i.call.Context }

// Left is the CPU time that the call may still use.
func (i *Instance) Left() time.Duration { return i.meter.left - i.meter.used }

type meter struct {
	left, used time.Duration // of CPU
	deadline   time.Time
	since      time.Time // when guest code began, or was looked at
	paused     int
	running    bool
}

var errStopped = errors.New("the guest was ended")

// meterName is the module under which rewritten modules import tick.
const meterName = "pandabox"

func meterFuncs() []HostFunc {
	return []HostFunc{{Name: "tick", Results: []ValueType{I32}, Call: tick}}
}

// tick is called by a guest whose fuel has run out. It returns the fuel of the next turn.
func tick(i *Instance, stack []uint64) {
	i.charge(time.Now())
	if err := i.over(); err != nil {
		i.Fail(err)
	}
	runtime.Gosched()
	stack[0] = quantum
}

// over tells why the guest may not go on; nil if it may.
func (i *Instance) over() error {
	switch {
	case i.meter.used > i.meter.left:
		return guest.ErrCPU
	case !i.meter.since.Before(i.meter.deadline):
		return guest.ErrTimeout
	case i.call.Context == nil:
		return fmt.Errorf("a guest ran outside of a call")
	}
	if err := i.call.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return guest.ErrTimeout
		}
		return err
	}
	return nil
}

func (i *Instance) charge(now time.Time) {
	if i.meter.running && i.meter.paused == 0 {
		i.meter.used += now.Sub(i.meter.since)
		i.meter.since = now
	}
}

const quantum = 30_000
