//go:build linux

package vm

import (
	"context"
	_ "embed"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

//go:embed testdata/guest.wasm
var guestWasm []byte

func newMachine(t testing.TB) *Machine {
	t.Helper()
	m, err := New(t.Context(), Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	host := HostFunc{Name: "host", Params: []ValueType{I32}, Results: []ValueType{I32}, Call: func(i *Instance, stack []uint64) {
		if call, ok := i.State.(func(*Instance, uint32) uint32); ok {
			stack[0] = uint64(call(i, uint32(stack[0])))
		}
	}}
	if err := m.Register(t.Context(), "test", []HostFunc{host}); err != nil {
		t.Fatal(err)
	}
	return m
}

func compile(t testing.TB, m *Machine, wasm []byte) *Module {
	t.Helper()
	mod, err := m.Compile(t.Context(), wasm, "test", WASI)
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func instantiate(t testing.TB, mod *Module, o Options) *Instance {
	t.Helper()
	i, err := mod.Instantiate(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return i
}

// call calls a function with plenty of time.
func call(t testing.TB, i *Instance, name string, args ...uint64) uint64 {
	t.Helper()
	i.Begin(t.Context(), time.Minute, time.Now().Add(time.Minute))
	defer i.End()
	results, err := i.Call(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) == 0 {
		return 0
	}
	return results[0]
}

func TestGuestsRun(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	i := instantiate(t, mod, Options{})
	if got := call(t, i, "add", 2, 3); got != 5 {
		t.Errorf("2 + 3 = %d", got)
	}
	if b, ok := i.Memory().Read(100, 5); !ok || string(b) != "hello" {
		t.Errorf("the data at 100 is %q", b)
	}
	if b, ok := i.Memory().Read(65530, 13); !ok || string(b) != "across a page" {
		t.Errorf("the data at 65530 is %q", b)
	}
	if got := call(t, i, "fib", 20); got != 6765 {
		t.Errorf("fib(20) = %d", got)
	}
	if got := call(t, i, "count"); got != 8 {
		t.Errorf("the count is %d", got)
	}
	if got := math.Float64frombits(call(t, i, "exact")); got != 1 {
		t.Errorf("exact is %v", got)
	}
	if s, ok := mod.Exports()["add"]; !ok || len(s.Params) != 2 || len(mod.Exports()) != 17 {
		t.Errorf("the exports are %v", mod.Exports())
	}
}

func TestLimitsEndGuests(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	for _, test := range []struct {
		name string
		args []uint64
		cpu  time.Duration
		wall time.Duration
		want error
	}{
		{name: "spin", cpu: 50 * time.Millisecond, wall: time.Minute, want: guest.ErrCPU},
		{name: "spin", cpu: time.Minute, wall: 50 * time.Millisecond, want: guest.ErrTimeout},
		{name: "tail", cpu: 50 * time.Millisecond, wall: time.Minute, want: guest.ErrCPU},
		{name: "deep", args: []uint64{0}, cpu: time.Minute, wall: time.Minute, want: errStack},
		{name: "must_grow", args: []uint64{1 << 15}, cpu: time.Minute, wall: time.Minute, want: guest.ErrMemory},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := instantiate(t, mod, Options{})
			begin := time.Now()
			i.Begin(t.Context(), test.cpu, begin.Add(test.wall))
			_, err := i.Call(test.name, test.args...)
			took := time.Since(begin)
			i.End()
			if !errors.Is(err, test.want) {
				t.Fatalf("it ended with %v", err)
			}
			if took > time.Second {
				t.Errorf("it took %s", took)
			}
			if _, err := i.Call("add", 1, 1); !errors.Is(err, errBroken) {
				t.Errorf("called again it ended with %v", err)
			}
		})
	}
}
