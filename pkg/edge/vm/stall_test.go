//go:build linux

package vm

import (
	"context"
	"errors"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// TestSpinningGuestsDoNotHoldUpTheCollector measures how long the world takes to stop beside guests that never call the
// host: one that loops, one that writes to new pages only, and one that fills memory. How close ticks are is what package fuel
// tests: here the kernel has a part, since a thread that waits for a core holds up the collector too.
func TestSpinningGuestsDoNotHoldUpTheCollector(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	const pages = 1000
	for name, spin := range map[string]func(*Instance) error{
		"nothing": func(*Instance) error { // what the machine itself does
			for n := 0; n < 1e6; n++ {
				runtime.KeepAlive(n)
			}
			return nil
		},
		"loop": func(i *Instance) error { _, err := i.Call("spin"); return err },
		"new pages": func(i *Instance) error {
			_, err := i.Call("touch", 0, pages*wasmPage)
			return errors.Join(err, i.Reset(t.Context()))
		},
		"fill": func(i *Instance) error {
			_, err := i.Call("fill", 0, 1, pages*wasmPage)
			return errors.Join(err, i.Reset(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var guests sync.WaitGroup
			for range runtime.GOMAXPROCS(0) + 1 {
				i := instantiate(t, mod, Options{})
				call(t, i, "grow", pages-4)
				if _, err := i.Snapshot(nil); err != nil {
					t.Fatal(err)
				}
				guests.Go(func() {
					i.Begin(ctx, time.Minute, time.Now().Add(time.Minute))
					defer i.End()
					for ctx.Err() == nil {
						if err := spin(i); err != nil && !errors.Is(err, context.Canceled) {
							t.Error(err)
							return
						}
					}
				})
			}
			before := stalls()
			for until := time.Now().Add(time.Second); time.Now().Before(until); {
				runtime.GC()
			}
			after := stalls()
			cancel()
			guests.Wait()
			usual, longest := quantile(before, after, 0.9), quantile(before, after, 1)
			t.Logf("9 of 10 stalls took up to %.2f ms, the longest %.2f ms", usual*1e3, longest*1e3)
			if longest > 2 {
				t.Errorf("the collector waited for %.0f ms", longest*1e3)
			}
		})
	}
}

// quantile returns how long as many of the stalls between two looks took at most.
func quantile(before, after *metrics.Float64Histogram, share float64) float64 {
	all := uint64(0)
	for n := range after.Counts {
		all += after.Counts[n] - before.Counts[n]
	}
	sum := uint64(0)
	for n := range after.Counts {
		if sum += after.Counts[n] - before.Counts[n]; float64(sum) >= share*float64(all) {
			return after.Buckets[n+1]
		}
	}
	return 0
}

// stalls is how long stopping the world for the collector took so far.
func stalls() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: append([]uint64{}, h.Counts...), Buckets: h.Buckets}
}

func TestACallEndsWithItsContext(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	i := instantiate(t, mod, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	i.Begin(ctx, time.Minute, time.Now().Add(time.Minute))
	defer i.End()
	cancel()
	if _, err := i.Call("spin"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was given up ended with %v", err)
	}
	j := instantiate(t, mod, Options{})
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	j.Begin(ctx, time.Minute, time.Now().Add(time.Minute))
	defer j.End()
	if _, err := j.Call("spin"); !errors.Is(err, guest.ErrTimeout) {
		t.Errorf("a call whose time was over ended with %v", err)
	}
}

func TestWaitingIsNoCPUTime(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	wait := func(i *Instance, v uint32) uint32 {
		i.Pause()
		defer i.Resume()
		<-time.After(50 * time.Millisecond)
		return v
	}
	i := instantiate(t, mod, Options{State: wait})
	i.Begin(t.Context(), 20*time.Millisecond, time.Now().Add(time.Minute))
	if _, err := i.Call("host", 1); err != nil {
		t.Fatal(err)
	}
	if used := i.End(); used > 20*time.Millisecond {
		t.Errorf("it used %s of CPU time", used)
	}
}
