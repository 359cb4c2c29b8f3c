//go:build linux

package cli

import (
	"context"
	"runtime/debug"
	"testing"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 12 << 20: 400, 24 << 20: 200, 48 << 20: 100, 1 << 30: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("percentFor(%d) = %d, want %d", live, got, want)
		}
	}
}

func TestTendHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Setenv("GOGC", "")
	tendHeap(ctx)
	want := percentFor(liveHeap())
	if got := debug.SetGCPercent(100); got != want {
		t.Errorf("the GC percentage is %d, want %d", got, want)
	}
	t.Setenv("GOGC", "77")
	tendHeap(ctx)
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("GOGC was set and the percentage changed to %d", got)
	}
}
