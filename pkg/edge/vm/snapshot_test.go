//go:build linux

package vm

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestInstancesBeginWithASnapshot(t *testing.T) {
	m := newMachine(t)
	mod := compile(t, m, guestWasm)
	first := instantiate(t, mod, Options{})
	call(t, first, "count")
	call(t, first, "store", 20000, 1234)
	call(t, first, "grow", 2)
	call(t, first, "store", 5*wasmPage, 77)
	base, err := first.Snapshot(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = base.Close() }()
	call(t, first, "store", 20000, 0) // a page that is zeros again
	call(t, first, "store", 40000, 4321)
	call(t, first, "count")
	over, err := first.Snapshot(base)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = over.Close() }()
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := over.Save(path); err != nil {
		t.Fatal(err)
	}
	opened, err := mod.OpenSnapshot(path, base)
	if err != nil {
		t.Fatal(err)
	}
	if opened.Size() != over.Size() || over.Size() != 2*osPage {
		t.Errorf("it has %d bytes, and %d when it is opened", over.Size(), opened.Size())
	}
	for _, test := range []struct {
		name                    string
		snap                    *Snapshot
		count, at20000, at40000 uint64
	}{
		{"base", base, 8, 1234, 0},
		{"in memory", over, 9, 0, 4321},
		{"in a file", opened, 9, 0, 4321},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := instantiate(t, mod, Options{Snapshot: test.snap})
			for range 3 {
				checkState(t, i, test.count, test.at20000, test.at40000)
				spoil(t, i)
				if err := i.Reset(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if _, err := mod.OpenSnapshot(path, over); model.KindOf(err) != model.KindConflict {
		t.Errorf("over another base: %v", err)
	}
	if err := mod.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if opened.users != 0 || opened.fd >= 0 {
		t.Errorf("a file without instances is open for %d", opened.users)
	}
}

// checkState looks at what guest.wat has after so many counts.
func checkState(t *testing.T, i *Instance, count, at20000, at40000 uint64) {
	t.Helper()
	if got := call(t, i, "load", 8192); got != count {
		t.Errorf("the count in memory is %d, not %d", got, count)
	}
	if got := call(t, i, "load", 20000); got != at20000 {
		t.Errorf("at 20000 is %d, not %d", got, at20000)
	}
	if got := call(t, i, "load", 40000); got != at40000 {
		t.Errorf("at 40000 is %d, not %d", got, at40000)
	}
	if got := call(t, i, "load", 5*wasmPage); got != 77 {
		t.Errorf("in memory that has grown is %d", got)
	}
	if got := call(t, i, "size"); got != 6 {
		t.Errorf("memory has %d pages", got)
	}
	if b, ok := i.Memory().Read(65530, 13); !ok || string(b) != "across a page" {
		t.Errorf("the data at 65530 is %q", b)
	}
	if got := call(t, i, "count"); got != count+1 {
		t.Errorf("the next count is %d, not %d", got, count+1)
	}
	if got := math.Float64frombits(call(t, i, "exact")); got != math.Pow(2, float64(count-7)) {
		t.Errorf("exact is %v", got)
	}
}

// spoil writes to everything, and grows.
func spoil(t *testing.T, i *Instance) {
	t.Helper()
	call(t, i, "grow", 5)
	for p := uint64(0); p < 9*wasmPage; p += osPage {
		call(t, i, "store", p+8, 0xffffffff)
	}
	call(t, i, "store", 100, 0)
}

func TestManyDirtyPagesAreReset(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	i := instantiate(t, mod, Options{})
	call(t, i, "grow", 100)
	s, err := i.Snapshot(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for range 2 {
		call(t, i, "touch", 64, 104*wasmPage)
		if err := i.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		for p := uint64(64); p < 104*wasmPage; p += osPage {
			if got := call(t, i, "load", p); got != 0 {
				t.Fatalf("at %d is %d", p, got)
			}
		}
	}
}

func TestADamagedSnapshotIsRefused(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	i := instantiate(t, mod, Options{})
	call(t, i, "count")
	s, err := i.Snapshot(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() []byte{
		"empty": func() []byte { return nil },
		"cut":   func() []byte { return whole[:len(whole)-1] },
		"header": func() []byte {
			return append(append([]byte{}, whole[:40]...), append([]byte{whole[40] ^ 1}, whole[41:]...)...)
		},
		"foreign": func() []byte { return []byte("something else, longer than the start of a header") },
	} {
		if err := os.WriteFile(path, damage(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := mod.OpenSnapshot(path, nil); model.KindOf(err) != model.KindConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestResetNeedsASnapshot(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	i := instantiate(t, mod, Options{})
	if err := i.Reset(t.Context()); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("without one: %v", err)
	}
}
