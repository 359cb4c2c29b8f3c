//go:build linux

package vm

import (
	"context"
	"testing"
)

// TestSparesForgetWhatTheyWere makes instances of two snapshots in turns, each from what the one before was made of.
func TestSparesForgetWhatTheyWere(t *testing.T) {
	m := newMachine(t)
	mod := compile(t, m, guestWasm)
	first := instantiate(t, mod, Options{})
	call(t, first, "store", 50000, 1)
	base, err := first.Snapshot(nil)
	if err != nil {
		t.Fatal(err)
	}
	taken := []*Snapshot{base}
	for n, change := range []func(){
		func() { call(t, first, "store", 20000, 11) },
		func() {
			call(t, first, "store", 30000, 22)
			call(t, first, "grow", 2)
			call(t, first, "store", 5*wasmPage, 33)
		},
	} {
		change()
		s, err := first.Snapshot(base)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if taken = append(taken, s); n == 0 {
			call(t, first, "store", 20000, 0)
		}
	}
	defer func() { _ = base.Close() }()
	state := func(i *Instance) [5]uint64 {
		s := [5]uint64{call(t, i, "load", 50000), call(t, i, "load", 20000), call(t, i, "load", 30000), call(t, i, "size"), call(t, i, "count")}
		if s[3] > 5 {
			s[3] += call(t, i, "load", 5*wasmPage)
		}
		return s
	}
	want := [][5]uint64{{1, 0, 0, 4, 8}, {1, 11, 0, 4, 8}, {1, 0, 22, 39, 8}}
	reused := 0
	for round := range 20 {
		which := round * 7 % 5 % 3
		before := len(m.spares)
		i, err := mod.Instantiate(t.Context(), Options{Snapshot: taken[which]})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.spares) < before {
			reused++
		}
		if got := state(i); got != want[which] {
			t.Fatalf("round %d: an instance of snapshot %d has %v, not %v", round, which, got, want[which])
		}
		spoil(t, i)
		if err := i.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if reused < 10 {
		t.Errorf("%d of 20 instances were made of an earlier one", reused)
	}
	old := instantiate(t, mod, Options{Snapshot: base})
	if err := old.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Call("count"); err == nil {
		t.Error("an instance that was closed can be called")
	}
}

func TestSparesAreFew(t *testing.T) {
	m := newMachine(t)
	mod := compile(t, m, guestWasm)
	s, err := instantiate(t, mod, Options{}).Snapshot(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var all []*Instance
	for range 20 {
		i, err := mod.Instantiate(t.Context(), Options{Snapshot: s})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, i)
	}
	for _, i := range all {
		if err := i.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.spares) != 8 {
		t.Errorf("%d spares of 20 are kept", len(m.spares))
	}
}
