//go:build linux

package vm

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func BenchmarkCall(b *testing.B) {
	i := instantiate(b, compile(b, newMachine(b), guestWasm), Options{State: func(_ *Instance, v uint32) uint32 { return v }})
	deadline := time.Now().Add(time.Hour)
	for _, name := range []string{"add", "host"} {
		f, stack := i.Func(name), make([]uint64, 2)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i.Begin(b.Context(), time.Second, deadline)
				if err := f.Call(stack); err != nil {
					b.Fatal(err)
				}
				i.End()
			}
		})
	}
}

func BenchmarkInstantiate(b *testing.B) {
	small := compile(b, newMachine(b), guestWasm)
	b.Run("small", func(b *testing.B) { benchInstantiate(b, small, nil) })
	js, _ := fueled(b)
	base, err := js.Snapshot(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("engine", func(b *testing.B) { benchInstantiate(b, js.module, base) })
}

func benchInstantiate(b *testing.B, mod *Module, s *Snapshot) {
	b.ReportAllocs()
	for b.Loop() {
		i, err := mod.Instantiate(b.Context(), Options{Snapshot: s})
		if err != nil {
			b.Fatal(err)
		}
		if err := i.Close(context.WithoutCancel(b.Context())); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReset resets an engine after so many pages were written to, and writes to them.
func BenchmarkReset(b *testing.B) {
	i, _ := fueled(b)
	if _, err := i.Snapshot(nil); err != nil {
		b.Fatal(err)
	}
	if err := i.Reset(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, pages := range []int{1, 20, 100, 250} {
		touch := func() {
			for p := range pages {
				i.memory.bytes()[p*osPage]++
			}
		}
		b.Run(fmt.Sprintf("copy/%d", pages), func(b *testing.B) {
			for b.Loop() {
				touch()
				if err := i.Reset(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("map/%d", pages), func(b *testing.B) {
			for b.Loop() {
				touch()
				if err := i.memory.restore(i.origin); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
