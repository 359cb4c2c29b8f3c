package daemon

import (
	"context"
	"regexp"
	"sync"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy"
	"github.com/pandabox/pandabox/pkg/reconcile"
	"github.com/pandabox/pandabox/pkg/runtime"
)

var (
	_ reconcile.Router = (*router)(nil)
	// A replica's container is called WORKLOAD-vRELEASE-gGENERATION-…, see model.Replica.Name.
	workloadOf = regexp.MustCompile(`^(.+?)-v\d+-g\d+-`)
)

// router publishes to the proxy, and tells the network which replicas its names should lead to: those that take
// requests from outside take them from neighbours too.
type router struct {
	proxy      *proxy.Proxy
	setHealthy func(container string, healthy bool)
	first      chan struct{} // closed by the first table
	once       sync.Once

	mu      sync.Mutex
	serving map[string]bool // containers of the table published last
}

func newRouter(p *proxy.Proxy, setHealthy func(string, bool)) *router {
	return &router{proxy: p, setHealthy: setHealthy, first: make(chan struct{})}
}

// Publish implements reconcile.Router.
func (r *router) Publish(ctx context.Context, routes []model.Route) error {
	err := r.proxy.Publish(ctx, routes) // whatever is wrong with one route, the others are published
	r.once.Do(func() { close(r.first) })
	r.mu.Lock()
	defer r.mu.Unlock()
	now := make(map[string]bool, len(r.serving))
	last := ""
	for i := range routes {
		if id := routes[i].WorkloadID; id == last {
			continue // another host of the same workload: the same backends
		} else {
			last = id
		}
		for _, b := range routes[i].Backends {
			now[b.Name] = true
			if !r.serving[b.Name] {
				r.setHealthy(b.Name, true)
			}
		}
	}
	for name := range r.serving {
		if !now[name] {
			r.setHealthy(name, false)
		}
	}
	r.serving = now
	return err
}

// Drain implements reconcile.Router.
func (r *router) Drain(ctx context.Context, backends []string) error {
	return r.proxy.Drain(ctx, backends)
}

// lastLogLine reads the last line a replica wrote.
func lastLogLine(rt *runtime.Runtime) func(context.Context, string) string {
	return func(ctx context.Context, container string) (line string) {
		m := workloadOf.FindStringSubmatch(container)
		if m == nil {
			return ""
		}
		_ = rt.Logs(ctx, model.LogQuery{WorkloadID: m[1], Container: container, Tail: 1}, func(l model.LogLine) error { line = l.Text; return nil })
		return line
	}
}
