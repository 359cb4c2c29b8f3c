//go:build linux

package js

import (
	"container/heap"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// Bounds of timers.
const (
	maxTimers   = 10_000
	maxDelay    = 24 * time.Hour // the call ends before
	minInterval = time.Millisecond
)

// timers are those of one call, the next first. A cleared one stays until it is due, which the runtime then ignores.
type timers struct {
	due   []timer
	alive int
}

type timer struct {
	at    time.Time
	order int // of equal times: the first that was set
	id    qjs.Value
	every time.Duration // 0: once
}

func (t *timers) Len() int { return len(t.due) }
func (t *timers) Less(a, b int) bool {
	if t.due[a].at.Equal(t.due[b].at) {
		return t.due[a].order < t.due[b].order
	}
	return t.due[a].at.Before(t.due[b].at)
}
func (t *timers) Swap(a, b int) { t.due[a], t.due[b] = t.due[b], t.due[a] }
func (t *timers) Push(x any)    { t.due = append(t.due, x.(timer)) }
func (t *timers) Pop() any {
	last := t.due[len(t.due)-1]
	t.due = t.due[:len(t.due)-1]
	return last
}

// next returns when the next is due.
func (t *timers) next() (time.Time, bool) {
	if len(t.due) == 0 {
		return time.Time{}, false
	}
	return t.due[0].at, true
}

// startTimer is host.timer(id, milliseconds, repeat).
func (i *isolate) startTimer(a args) (qjs.Value, error) {
	t := &i.call.timers
	if t.Len() >= maxTimers {
		return i.throw("RangeError", "too many timers are set at once")
	}
	d := time.Duration(min(a.at(1).Number(), float64(maxDelay/time.Millisecond)) * float64(time.Millisecond))
	n := timer{at: time.Now().Add(d), order: t.alive, id: a.at(0)}
	t.alive++
	if a.at(2) == qjs.True {
		n.every = max(d, minInterval)
	}
	heap.Push(t, n)
	return qjs.Undefined, nil
}

// clearTimer is host.clearTimer(id).
func (i *isolate) clearTimer(a args) (qjs.Value, error) {
	t := &i.call.timers
	for n := range t.due {
		if t.due[n].id == a.at(0) {
			heap.Remove(t, n)
			break
		}
	}
	return qjs.Undefined, nil
}

// fireTimers calls what is due now. Jobs run after each, as in browsers.
func (i *isolate) fireTimers() error {
	t := &i.call.timers
	for now := time.Now(); len(t.due) > 0 && !t.due[0].at.After(now); {
		n := heap.Pop(t).(timer)
		if n.every > 0 {
			again := n
			again.at, again.order = now.Add(n.every), t.alive
			t.alive++
			heap.Push(t, again)
		}
		v, err := i.js.Call(i.x.Fire, qjs.Undefined, n.id)
		if err != nil {
			return limit(err)
		}
		if err := i.ended(); err != nil {
			return err
		}
		if err := i.js.Free(v); err != nil {
			return err
		}
		if err := i.drain(); err != nil {
			return err
		}
	}
	return nil
}
