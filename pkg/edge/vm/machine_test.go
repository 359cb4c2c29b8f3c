//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

func TestWhatCannotRunIsRefused(t *testing.T) {
	m := newMachine(t)
	for name, test := range map[string]struct {
		wasm  []byte
		hosts []string
		why   string
	}{
		"a component":      {wasm: []byte("\x00asm\x0d\x00\x01\x00"), why: "component"},
		"no module":        {wasm: []byte("#!/bin/sh\n"), why: "not a WASM module"},
		"half a module":    {wasm: guestWasm[:len(guestWasm)/2], why: "cannot run"},
		"invalid code":     {wasm: bytes.Replace(guestWasm, []byte("\x20\x00\x20\x01\x6a"), []byte("\x20\x00\x20\x01\x7c"), 1), hosts: []string{"test"}, why: "compiled"},
		"imports, no host": {wasm: guestWasm, hosts: []string{WASI}, why: "test.host"},
		"the meter":        {wasm: bytes.ReplaceAll(guestWasm, []byte("\x04test\x04host"), []byte("\x04test\x04hos!")), hosts: []string{"test"}, why: "test.hos!"},
	} {
		mod, err := m.Compile(t.Context(), test.wasm, test.hosts...)
		if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), test.why) || mod != nil {
			t.Errorf("%s: %v", name, err)
		}
		var e *model.Error
		if errors.As(err, &e) && e.Hint == "" {
			t.Errorf("%s: %v has no hint", name, err)
		}
	}
	if len(m.modules) != 0 {
		t.Errorf("%d modules that were refused are kept", len(m.modules))
	}
	mod := compile(t, m, guestWasm)
	if _, err := mod.Instantiate(t.Context(), Options{MemoryMax: 2 * wasmPage}); !errors.Is(err, guest.ErrMemory) {
		t.Errorf("with too little memory: %v", err)
	}
}

// variant is guestWasm with something else in its data: another module.
func variant(n int) []byte {
	return bytes.Replace(guestWasm, []byte("hello"), fmt.Appendf(nil, "%05d", n), 1)
}

func TestNativeCodeOfIdleModulesIsDropped(t *testing.T) {
	m := newMachine(t)
	var mods []*Module
	for n := range 30 {
		mods = append(mods, compile(t, m, variant(n)))
	}
	for round := range 2 {
		for n, mod := range mods {
			i, err := mod.Instantiate(t.Context(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := i.Memory().Read(100, 5); string(b) != fmt.Sprintf("%05d", n) {
				t.Fatalf("round %d: module %d has %q", round, n, b)
			}
			if err := i.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	loaded := 0
	for _, s := range m.modules {
		if s.compiled != nil {
			loaded++
		}
	}
	if loaded != 8 {
		t.Errorf("%d modules of 30 are loaded", loaded)
	}
	for _, mod := range mods {
		if err := errors.Join(mod.Close(t.Context()), mod.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.modules) != 0 || len(m.idle) != 0 {
		t.Errorf("%d modules are kept, %d idle", len(m.modules), len(m.idle))
	}
}

func TestModulesOutliveTheMachine(t *testing.T) {
	dir := t.TempDir()
	for round := range 2 {
		m, err := New(t.Context(), Config{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Register(t.Context(), "test", []HostFunc{{Name: "host", Params: []ValueType{I32}, Results: []ValueType{I32}}}); err != nil {
			t.Fatal(err)
		}
		mod := compile(t, m, guestWasm)
		if fresh := mod.shared.compiled != nil; fresh != (round == 0) {
			t.Errorf("round %d: it was compiled: %t", round, fresh)
		}
		i, err := mod.Instantiate(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := call(t, i, "fib", 10); got != 55 {
			t.Errorf("round %d: fib(10) = %d", round, got)
		}
		if err := errors.Join(i.Close(t.Context()), mod.Close(t.Context()), m.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the cache is open to others: %v %v", info.Mode(), err)
	}
}

func TestADamagedCacheIsMadeAgain(t *testing.T) {
	m := newMachine(t)
	mod := compile(t, m, guestWasm)
	path := mod.shared.file("mem")
	if err := mod.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := instantiate(t, compile(t, m, guestWasm), Options{})
	if b, _ := i.Memory().Read(100, 5); string(b) != "hello" {
		t.Errorf("memory has %q", b)
	}
}

func TestHostAndGuestCallEachOther(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	i := instantiate(t, mod, Options{State: func(i *Instance, v uint32) uint32 {
		if v == 0 {
			return 100
		}
		results, err := i.Call("host", uint64(v-1))
		if err != nil {
			i.Fail(err)
		}
		return uint32(results[0]) + 1
	}})
	if got := call(t, i, "host", 50); got != 150 {
		t.Errorf("50 calls deep it is %d", got)
	}
	failed := errors.New("no")
	i.State = func(i *Instance, _ uint32) uint32 { i.Fail(failed); return 0 }
	i.Begin(t.Context(), time.Minute, time.Now().Add(time.Minute))
	defer i.End()
	if _, err := i.Call("host", 1); !errors.Is(err, failed) {
		t.Errorf("a host function that fails ends the call with %v", err)
	}
}

func TestTheStackCanBeMeasured(t *testing.T) {
	i := instantiate(t, compile(t, newMachine(t), guestWasm), Options{})
	if size := i.Func("fib").own.size(); size < 4096 {
		t.Errorf("wazero's stack is said to have %d bytes: recursion cannot be bounded", size)
	}
}

func TestManyInstancesLeaveNothing(t *testing.T) {
	mod := compile(t, newMachine(t), guestWasm)
	instance := func() error {
		i, err := mod.Instantiate(t.Context(), Options{MemoryMax: 1 << 30})
		if err != nil {
			return err
		}
		i.Begin(t.Context(), time.Minute, time.Now().Add(time.Minute))
		_, err = i.Call("count")
		i.End()
		return errors.Join(err, i.Close(context.WithoutCancel(t.Context())))
	}
	before := mappings(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 300 {
				if err := instance(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if after := mappings(t); after > before+40 {
		t.Errorf("%d mappings became %d", before, after)
	}
	if mod.shared.image.users != 0 {
		t.Errorf("the image has %d users", mod.shared.image.users)
	}
}

// mappings is how many mappings of memory the process has.
func mappings(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}
