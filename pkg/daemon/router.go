package daemon

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy"
	"github.com/pandabox/pandabox/pkg/reconcile"
	"github.com/pandabox/pandabox/pkg/runtime"
)

var (
	_ reconcile.Router  = (*router)(nil)
	_ reconcile.Patcher = (*router)(nil)
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
	serving map[string][]model.Backend // by workload: those of the table in force
}

func newRouter(p *proxy.Proxy, setHealthy func(string, bool)) *router {
	return &router{proxy: p, setHealthy: setHealthy, first: make(chan struct{}), serving: map[string][]model.Backend{}}
}

// Publish implements reconcile.Router.
func (r *router) Publish(ctx context.Context, routes []model.Route) error {
	err := r.proxy.Publish(ctx, routes) // whatever is wrong with one route, the others are published
	r.once.Do(func() { close(r.first) })
	r.mu.Lock()
	defer r.mu.Unlock()
	here := r.serve(routes)
	for id := range r.serving {
		if !here[id] {
			r.turn(id, nil)
			delete(r.serving, id)
		}
	}
	return err
}

// Patch implements reconcile.Patcher.
func (r *router) Patch(ctx context.Context, routes []model.Route) error {
	err := r.proxy.Patch(ctx, routes)
	if errors.Is(err, proxy.ErrPublish) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serve(routes)
	return err
}

// serve tells the network what these routes say, and returns the workloads they belong to. r.mu is held.
func (r *router) serve(routes []model.Route) map[string]bool {
	here := map[string]bool{}
	for i := range routes {
		if id := routes[i].WorkloadID; !here[id] { // another host of the same workload has the same backends
			here[id] = true
			r.turn(id, routes[i].Backends)
		}
	}
	return here
}

// turn makes these the replicas of a workload that take requests. r.mu is held.
func (r *router) turn(workload string, now []model.Backend) {
	was := r.serving[workload]
	for _, b := range now {
		if !named(was, b.Name) {
			r.setHealthy(b.Name, true)
		}
	}
	for _, b := range was {
		if !named(now, b.Name) {
			r.setHealthy(b.Name, false)
		}
	}
	r.serving[workload] = now
}

func named(backends []model.Backend, name string) bool {
	return slices.ContainsFunc(backends, func(b model.Backend) bool { return b.Name == name })
}

// Drain implements reconcile.Router.
func (r *router) Drain(ctx context.Context, backends []string) error {
	return r.proxy.Drain(ctx, backends)
}

// A container's last lines reach its log a moment after its end: its log is read until it stays the same for as many
// looks in a row, this far apart.
const (
	logLooks    = 3
	logLookWait = 50 * time.Millisecond
	logLooksMax = 20
)

// lastLogLine reads the last line an ended replica wrote.
func lastLogLine(rt *runtime.Runtime) func(context.Context, string) string {
	return func(ctx context.Context, container string) string {
		m := workloadOf.FindStringSubmatch(container)
		if m == nil {
			return ""
		}
		var line string
		for same, look := 0, 0; same < logLooks && look < logLooksMax; look++ {
			before := line
			_ = rt.Logs(ctx, model.LogQuery{WorkloadID: m[1], Container: container, Tail: 1}, func(l model.LogLine) error { line = l.Text; return nil })
			if same++; line != before {
				same = 0
			}
			select {
			case <-ctx.Done():
				return line
			case <-time.After(logLookWait):
			}
		}
		return line
	}
}
