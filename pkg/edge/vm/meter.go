//go:build linux

package vm

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/fuel"
	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// Begin starts the meter of one call: cpu is the time that guest code may use, deadline the end of the call. Until End, ctx
// is what host functions wait with, and its end ends the guest too.
func (i *Instance) Begin(ctx context.Context, cpu time.Duration, deadline time.Time) {
	i.call.Context = ctx
	i.giveTurn()
	now := time.Now()
	i.meter = meter{limit: cpu, deadline: deadline, since: now, turn: now, running: true}
}

// End stops the meter and returns the CPU time that the call used.
func (i *Instance) End() time.Duration {
	i.charge(time.Now())
	i.giveTurn()
	i.meter.running = false
	i.call.Context = nil
	return i.meter.used
}

// Pause stops the clock of CPU time; a host function calls it before it waits, and Resume after. Pairs may be nested.
func (i *Instance) Pause() {
	if i.meter.paused == 0 {
		i.charge(time.Now())
		i.giveTurn()
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

// Context is that of the call under way, for host functions that wait.
func (i *Instance) Context() context.Context { return i.call.Context }

// Left is the CPU time that the call may still use.
func (i *Instance) Left() time.Duration { return i.meter.limit - i.meter.used }

type meter struct {
	limit, used time.Duration // of CPU
	deadline    time.Time
	since       time.Time // when guest code began, or was looked at
	turn        time.Time // when others had theirs
	paused      int
	running     bool
	holds       bool // one of Config.Turns
}

var errStopped = errors.New("the guest was ended")

func meterFuncs() []HostFunc {
	return []HostFunc{{Name: fuel.TickName, Results: []ValueType{I32}, Call: tick}}
}

// turn is how long a guest runs before others get a turn.
const turn = time.Millisecond

// maxStack is how many bytes of native stack calls within a guest may take. It is looked at now and then: the stack may be
// half as long again. wazero's own bound is 50 MB.
const maxStack = 8 << 20

// errStack ends guests that recurse without end.
var errStack = errors.New("its calls are nested too deeply")

// tick is called by a guest whose fuel has run out. It returns the fuel of the next turn.
func tick(i *Instance, stack []uint64) {
	now := time.Now()
	i.charge(now)
	if err := i.over(now); err != nil {
		i.Fail(err)
	}
	if i.running.size() > maxStack {
		i.Fail(errStack)
	}
	if now.Sub(i.meter.turn) > turn {
		i.rest()
		i.meter.turn = time.Now()
		i.meter.since = i.meter.turn // the time of others is not counted
	}
	stack[0] = fuel.Quantum
}

// rest lets others have their turn. A guest that comes here has computed for a while.
func (i *Instance) rest() {
	turns := i.module.machine.config.Turns
	switch {
	case turns == nil, i.meter.holds && !turns.Wanted():
		runtime.Gosched()
	default:
		i.giveTurn()
		i.meter.holds = turns.Take(i.call.Context) // false: the call is over, and the next tick ends it
	}
}

func (i *Instance) giveTurn() {
	if i.meter.holds {
		i.meter.holds = false
		i.module.machine.config.Turns.Give()
	}
}

// over tells why the guest may not go on; nil if it may.
func (i *Instance) over(now time.Time) error {
	switch {
	case !i.meter.running:
		return errors.New("a guest ran outside of a call")
	case i.meter.used > i.meter.limit:
		return guest.ErrCPU
	case !now.Before(i.meter.deadline):
		return guest.ErrTimeout
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
