//go:build linux

package vm

import (
	"io"
	"time"

	"github.com/tetratelabs/wazero"
)

// wasi is what WASI has for a body. It leads to the instance that has the body now.
type wasi struct {
	i              *Instance
	stdout, stderr io.Writer
	own            bool // there are arguments, an environment or input: no other instance can have the same
}

func newWASI(i *Instance, o Options) *wasi {
	w := &wasi{own: len(o.Args) > 0 || len(o.Env) > 0 || o.Stdin != nil}
	w.lead(i, o)
	return w
}

// lead makes the instance the one that prints and sleeps.
func (w *wasi) lead(i *Instance, o Options) {
	w.i, w.stdout, w.stderr = i, o.Stdout, o.Stderr
	if w.stdout == nil {
		w.stdout = io.Discard
	}
	if w.stderr == nil {
		w.stderr = io.Discard
	}
}

func (w *wasi) config(o Options) wazero.ModuleConfig {
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithArgs(o.Args...).
		WithSysWalltime().WithSysNanotime().WithNanosleep(func(ns int64) { w.i.sleep(ns) }).
		WithStdout(out{w}).WithStderr(errs{w})
	for k, v := range o.Env {
		c = c.WithEnv(k, v)
	}
	if o.Stdin != nil {
		c = c.WithStdin(o.Stdin)
	}
	return c
}

type out struct{ w *wasi }

func (o out) Write(p []byte) (int, error) { return o.w.stdout.Write(p) }

type errs struct{ w *wasi }

func (e errs) Write(p []byte) (int, error) { return e.w.stderr.Write(p) }

// sleep is how guests wait by WASI. It ends with the call.
func (i *Instance) sleep(ns int64) {
	i.Pause()
	defer i.Resume()
	t := time.NewTimer(min(time.Duration(ns), time.Until(i.meter.deadline)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-i.call.Done():
	}
	if err := i.over(time.Now()); err != nil {
		i.Fail(err)
	}
}
