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
	i := &isolate{engine: e}
	inst, err := e.module.Instantiate(ctx, vm.Options{MemoryMax: bootMemory, State: i})
	if err != nil {
		return err
	}
	i.vm, i.js = inst, qjs.Attach(inst)
	inst.Begin(ctx, bootTime, time.Now().Add(bootTime))
	err = i.boot()
	inst.End()
	if err != nil {
		_ = inst.Close(ctx)
		return err
	}
	e.booted = realm{Marks: i.js.Marks(), Exposed: i.x}
	if e.base, err = e.store.keep(ctx, e.module, inst, nil, "base"); err != nil {
		return err
	}
	return e.store.saveBase(e.booted)
}

func (i *isolate) boot() error {
	if err := i.js.Boot(maxStack); err != nil {
		return err
	}
	global, err := i.js.Global()
	if err != nil {
		return err
	}
	host, err := i.evalOwn("({})", "host")
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
	for _, s := range []struct{ name, source string }{
		{"web", i.engine.prelude.Source}, {"console", consoleScript}, {"runtime", runtimeScript}, {"done", "delete globalThis.host"},
	} {
		v, err := i.evalOwn(s.source, s.name)
		if err != nil {
			return err
		}
		if err := i.js.Free(v); err != nil {
			return err
		}
	}
	if err := i.js.Free(global); err != nil {
		return err
	}
	if err := i.js.CollectAt(collectAt); err != nil {
		return err
	}
	return i.js.Collect()
}

// collectAt is after how many bytes of objects the engine first looks for cycles. Its own 256 KiB make it look in the
// middle of about every hundredth request; most garbage has no cycles and is freed at once.
const collectAt = 2 << 20

func (i *isolate) evalOwn(source, name string) (qjs.Value, error) {
	v, err := i.js.Eval(source, ownScripts+name, qjs.Script)
	if err != nil {
		return 0, err
	}
	if v == qjs.Exception {
		what, stack, err := i.caught()
		if err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("the script %s: %s\n%s", name, what, strings.TrimSpace(stack))
	}
	return v, nil
}
