//go:build linux

package js

import (
	"context"
	_ "embed" // the runtime's scripts
	"fmt"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

//go:embed runtime/console.js
var consoleScript string

//go:embed runtime/runtime.js
var runtimeScript string

// ownScripts is how the names of scripts begin that are not the author's.
const ownScripts = "pandabox:"

// realm is where things are in every instance made from the base: the engine's own places and the runtime's functions.
type realm struct {
	Marks   qjs.Marks
	Exposed exposed
}

// exposed are the runtime's functions that Go calls.
type exposed struct{ Failure, Describe, Fire, Dispatch, Scheduled, Adopt qjs.Value }

func (x *exposed) names() map[string]*qjs.Value {
	return map[string]*qjs.Value{
		"failure": &x.Failure, "describe": &x.Describe, "fire": &x.Fire,
		"dispatch": &x.Dispatch, "scheduled": &x.Scheduled, "adopt": &x.Adopt,
	}
}

// boot makes the base, the engine started, prelude and runtime evaluated, or finds the one that was made before.
func (e *Engine) boot(ctx context.Context) error {
	if e.base, e.booted = e.store.base(e.module); e.base != nil {
		return nil
	}
	if err := e.store.forget(); err != nil {
		return err
	}
	scripts, err := e.compile(ctx)
	if err != nil {
		return err
	}
	i, err := e.start(ctx)
	if err != nil {
		return err
	}
	err = i.boot(scripts)
	i.vm.End()
	if err != nil {
		_ = i.vm.Close(ctx)
		return err
	}
	e.booted = realm{Marks: i.js.Marks(), Exposed: i.x}
	if e.base, err = e.store.keep(ctx, e.module, i.vm, nil, "base"); err != nil {
		return err
	}
	return e.store.saveBase(e.booted)
}

// start starts the engine in an instance of its own, with the meter on.
func (e *Engine) start(ctx context.Context) (*isolate, error) {
	i := &isolate{engine: e}
	inst, err := e.module.Instantiate(ctx, vm.Options{MemoryMax: bootMemory, State: i})
	if err != nil {
		return nil, err
	}
	i.vm, i.js = inst, qjs.Attach(inst)
	inst.Begin(ctx, bootTime, time.Now().Add(bootTime))
	if err := i.js.Boot(maxStack); err != nil {
		_ = inst.Close(ctx)
		return nil, err
	}
	return i, nil
}

// compile turns the scripts into bytecode, in an instance that is thrown away: parsing leaves a megabyte of holes.
func (e *Engine) compile(ctx context.Context) ([][]byte, error) {
	i, err := e.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = i.vm.Close(ctx) }()
	defer i.vm.End()
	var all [][]byte
	for _, s := range []struct{ name, source string }{
		{"web", e.prelude.Source}, {"console", consoleScript}, {"runtime", runtimeScript}, {"done", "delete globalThis.host"},
	} {
		code, ok, err := i.js.Compile(s.source, ownScripts+s.name, qjs.Script)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, i.broken(s.name)
		}
		all = append(all, code)
	}
	return all, nil
}

func (i *isolate) boot(scripts [][]byte) error {
	global, err := i.js.Global()
	if err != nil {
		return err
	}
	host, err := i.js.Eval("({})", ownScripts+"host", qjs.Script)
	if err != nil {
		return err
	}
	for magic, f := range i.engine.hosts {
		v, err := i.js.Function(f.name, int16(magic))
		if err != nil {
			return err
		}
		if err := i.js.Set(host, f.name, v); err != nil {
			return err
		}
	}
	if err := i.js.Set(global, "host", i.js.Dup(host)); err != nil {
		return err
	}
	for _, code := range scripts {
		v, err := i.js.Run(code)
		if err != nil {
			return err
		}
		if v == qjs.Exception {
			return i.broken("of the engine")
		}
		if err := i.js.Free(v); err != nil {
			return err
		}
	}
	if err := i.js.Free(global); err != nil {
		return err
	}
	if err := i.js.Collect(); err != nil {
		return err
	}
	if err := i.js.Room(room); err != nil {
		return err
	}
	return i.js.Tidy()
}

// room is what an isolate may take before its memory grows, in bytes: one that grew cannot be reset.
const room = 512 << 10

// broken is the pending exception of one of our own scripts.
func (i *isolate) broken(name string) error {
	what, stack, err := i.caught()
	if err != nil {
		return err
	}
	return fmt.Errorf("the script %s: %s\n%s", name, what, strings.TrimSpace(stack))
}
