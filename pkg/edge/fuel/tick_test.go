//go:build linux

package fuel

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// TestTicksAreClose measures the CPU time between two ticks, which is what a garbage collection has to wait for: in a
// loop, in one that writes to a page that was never used each time, and in one fill of 64 MB of such pages.
func TestTicksAreClose(t *testing.T) {
	runtime.LockOSThread() // its clock is what counts
	defer runtime.UnlockOSThread()
	wasm, err := os.ReadFile("../vm/testdata/guest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	result, err := Rewrite(wasm)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(proposals))
	defer func() { _ = r.Close(context.WithoutCancel(ctx)) }()
	var ticks []time.Duration
	tick := api.GoFunc(func(_ context.Context, stack []uint64) {
		ticks = append(ticks, clock(t))
		stack[0] = Quantum
	})
	i32 := []api.ValueType{api.ValueTypeI32}
	for _, f := range []struct {
		module, name string
		call         api.GoFunc
		params       []api.ValueType
	}{{TickModule, TickName, tick, nil}, {"test", "host", func(context.Context, []uint64) {}, i32}} {
		if _, err := r.NewHostModuleBuilder(f.module).NewFunctionBuilder().WithGoFunction(f.call, f.params, i32).Export(f.name).Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	const size = 64 << 20
	for name, call := range map[string][]uint64{"sum": {10_000_000}, "touch": {0, size}, "fill": {0, 1, size}, "fib": {30}} {
		mod, err := r.InstantiateWithConfig(experimental.WithMemoryAllocator(ctx, &untouched{}), result.Module, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mod.ExportedFunction("grow").Call(ctx, size>>16-4); err != nil {
			t.Fatal(err)
		}
		ticks = append(ticks[:0], clock(t))
		if _, err := mod.ExportedFunction(name).Call(ctx, call...); err != nil {
			t.Fatal(err)
		}
		ticks = append(ticks, clock(t))
		var apart []time.Duration
		for n := 1; n < len(ticks); n++ {
			apart = append(apart, ticks[n]-ticks[n-1])
		}
		slices.Sort(apart)
		t.Logf("%s: %d ticks, %s apart, %s at most", name, len(apart), apart[len(apart)/2], apart[len(apart)-1])
		if usual := apart[len(apart)*9/10]; usual > 10*time.Millisecond {
			t.Errorf("%s: one of ten ticks comes after %s", name, usual)
		}
		if err := mod.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// untouched is memory of which no page was used.
type untouched struct{ all []byte }

func (u *untouched) Allocate(_, _ uint64) experimental.LinearMemory { return u }

func (u *untouched) Reallocate(size uint64) []byte {
	if u.all == nil {
		u.all, _ = unix.Mmap(-1, 0, 128<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	}
	return u.all[:size]
}

func (u *untouched) Free() { _ = unix.Munmap(u.all) }

// clock is the CPU time of the thread.
func clock(t *testing.T) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}
