package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/edge"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy"
	"github.com/pandabox/pandabox/pkg/reconcile"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/store"
)

// engines are the runtime of containers and the host of functions behind one interface: to whoever starts, lists and
// removes, a loaded function is a container. functions is set before anything is asked.
type engines struct {
	containers *runtime.Runtime
	functions  *edge.Host
	store      *store.Store
	kv         *store.KV
}

var (
	_ reconcile.Runtime    = (*engines)(nil)
	_ reconcile.Images     = (*engines)(nil)
	_ control.Runner       = (*engines)(nil)
	_ control.FunctionHost = (*engines)(nil)
	_ proxy.Functions      = (*engines)(nil)
)

// List implements reconcile.Runtime. It is all or nothing: what is left out would be started again.
func (e *engines) List(ctx context.Context) ([]model.Container, error) {
	containers, err := e.containers.List(ctx)
	if err != nil {
		return nil, err
	}
	functions, err := e.functions.List(ctx)
	if err != nil {
		return nil, err
	}
	return append(containers, functions...), nil
}

// Start implements reconcile.Runtime.
func (e *engines) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	if spec.Function != nil {
		return e.functions.Start(ctx, spec)
	}
	return e.containers.Start(ctx, spec)
}

// Remove implements reconcile.Runtime.
func (e *engines) Remove(ctx context.Context, name string, grace time.Duration) error {
	if e.isFunction(name) {
		return e.functions.Remove(ctx, name, grace)
	}
	return e.containers.Remove(ctx, name, grace)
}

// Wait implements reconcile.Runtime.
func (e *engines) Wait(ctx context.Context, name string) (model.Exit, error) {
	if e.isFunction(name) {
		return e.functions.Wait(ctx, name)
	}
	return e.containers.Wait(ctx, name)
}

func (e *engines) isFunction(name string) bool {
	_, is := e.functions.Usage(name)
	return is
}

// Events implements reconcile.Runtime.
func (e *engines) Events(ctx context.Context) <-chan struct{} {
	containers, functions := e.containers.Events(ctx), e.functions.Events(ctx)
	both := make(chan struct{}, 1)
	go func() { // until ctx ends, which closes both
		defer close(both)
		for containers != nil || functions != nil {
			var open bool
			select {
			case _, open = <-containers:
				if !open {
					containers = nil
				}
			case _, open = <-functions:
				if !open {
					functions = nil
				}
			}
			if !open {
				continue
			}
			select {
			case both <- struct{}{}:
			default:
			}
		}
	}()
	return both
}

// Ensure implements reconcile.Images.
func (e *engines) Ensure(ctx context.Context, image model.Image, progress func(int, string)) (model.Image, error) {
	return e.containers.Ensure(ctx, image, progress)
}

// Reclaim implements reconcile.Images: it frees images, networks, the code of functions, and the keys of environments
// that are gone.
func (e *engines) Reclaim(ctx context.Context, keep model.Keep) error {
	return errors.Join(
		e.containers.Reclaim(ctx, keep),
		e.functions.ReclaimBundles(keep.Bundles),
		e.kv.Reclaim(ctx, func(ctx context.Context) ([]string, error) {
			k, err := e.store.Keep(ctx)
			return k.Environments, err
		}),
	)
}

// Forget implements reconcile.Images.
func (e *engines) Forget(ctx context.Context, workloadID string) error {
	return e.containers.Forget(ctx, workloadID)
}

// Exec implements control.Runner.
func (e *engines) Exec(ctx context.Context, container string, spec model.ExecSpec) (int, error) {
	return e.containers.Exec(ctx, container, spec)
}

// Run implements control.Runner.
func (e *engines) Run(ctx context.Context, c model.ContainerSpec, spec model.ExecSpec) (int, error) {
	return e.containers.Run(ctx, c, spec)
}

// Usage implements control.Runner.
func (e *engines) Usage(ctx context.Context, names []string) (map[string]model.Usage, error) {
	out := make(map[string]model.Usage, len(names))
	var containers []string
	for _, name := range names {
		if u, is := e.functions.Usage(name); is {
			out[name] = u.Usage
		} else {
			containers = append(containers, name)
		}
	}
	if len(containers) == 0 {
		return out, nil
	}
	more, err := e.containers.Usage(ctx, containers)
	for name, u := range more {
		out[name] = u
	}
	return out, err
}

// Import implements control.FunctionHost.
func (e *engines) Import(ctx context.Context, r io.Reader) (model.Bundle, error) {
	return e.functions.Import(ctx, r)
}

// Bundle implements control.FunctionHost.
func (e *engines) Bundle(ctx context.Context, digest string) (model.Bundle, error) {
	return e.functions.Bundle(ctx, digest)
}

// Invoke implements control.FunctionHost.
func (e *engines) Invoke(ctx context.Context, name string, r *http.Request) (*http.Response, error) {
	return e.functions.Invoke(ctx, name, r)
}

// Scheduled implements control.FunctionHost.
func (e *engines) Scheduled(ctx context.Context, name string, event model.ScheduledEvent) error {
	return e.functions.Scheduled(ctx, name, event)
}

// Serve implements proxy.Functions.
func (e *engines) Serve(name string, w http.ResponseWriter, r *http.Request, next http.Handler) {
	e.functions.Serve(name, w, r, next)
}
