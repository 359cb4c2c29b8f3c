package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/edge"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy"
	"github.com/pandabox/pandabox/pkg/reconcile"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/static"
	"github.com/pandabox/pandabox/pkg/store"
)

// engines are the runtime of containers and the hosts of functions and sites behind one interface: to whoever starts, lists
// and removes, a loaded function or a site is a container. The hosts are set before anything is asked.
type engines struct {
	containers *runtime.Runtime
	functions  *edge.Host
	sites      *static.Host
	builds     *builds
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
	sites, err := e.sites.List(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Concat(containers, functions, sites), nil
}

// Start implements reconcile.Runtime.
func (e *engines) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	if spec.Function != nil {
		return e.functions.Start(ctx, spec)
	}
	if spec.Static != nil {
		return e.sites.Start(ctx, spec)
	}
	return e.containers.Start(ctx, spec)
}

// Remove implements reconcile.Runtime.
func (e *engines) Remove(ctx context.Context, name string, grace time.Duration) error {
	if e.isFunction(name) {
		return e.functions.Remove(ctx, name, grace)
	}
	if e.sites.Has(name) {
		return e.sites.Remove(ctx, name, grace)
	}
	return e.containers.Remove(ctx, name, grace)
}

// Wait implements reconcile.Runtime.
func (e *engines) Wait(ctx context.Context, name string) (model.Exit, error) {
	if e.isFunction(name) {
		return e.functions.Wait(ctx, name)
	}
	if e.sites.Has(name) {
		return e.sites.Wait(ctx, name)
	}
	return e.containers.Wait(ctx, name)
}

func (e *engines) isFunction(name string) bool {
	_, is := e.functions.Usage(name)
	return is
}

// Events implements reconcile.Runtime.
func (e *engines) Events(ctx context.Context) <-chan struct{} {
	all := []<-chan struct{}{e.containers.Events(ctx), e.functions.Events(ctx), e.sites.Events(ctx)}
	either, running := make(chan struct{}, 1), sync.WaitGroup{}
	for _, one := range all {
		running.Go(func() { // until ctx ends, which closes one
			for range one {
				select {
				case either <- struct{}{}:
				default:
				}
			}
		})
	}
	go func() {
		running.Wait()
		close(either)
	}()
	return either
}

// Ensure implements reconcile.Images.
func (e *engines) Ensure(ctx context.Context, image model.Image, progress func(int, string)) (model.Image, error) {
	return e.containers.Ensure(ctx, image, progress)
}

// Reclaim implements reconcile.Images: it frees images, networks, the code of functions, sites, sources, the
// logs of builds, and the keys of environments that are gone.
func (e *engines) Reclaim(ctx context.Context, keep model.Keep) error {
	return errors.Join(
		e.containers.Reclaim(ctx, keep),
		e.functions.ReclaimBundles(keep.Bundles),
		e.sites.Reclaim(keep.Sites, time.Now()),
		e.builds.reclaim(keep, time.Now()),
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
		} else if u, is := e.sites.Usage(name); is {
			out[name] = u
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

// siteServer is the proxy's way to the sites, which are opened after it is made and before it serves.
type siteServer struct{ p *parts }

var _ proxy.Sites = siteServer{}

// Serve implements proxy.Sites.
func (s siteServer) Serve(name string, w http.ResponseWriter, r *http.Request) {
	s.p.sites.Serve(name, w, r)
}
