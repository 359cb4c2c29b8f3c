package reconcile

import (
	"net/netip"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// route decides where requests go: to the healthy replicas of the good release's web process. Where none is, to what
// still runs of it, for an app that answers some requests is better than an error page for all. A function has its paths
// on the domains of another app from its first good release on: what is not yet good takes nothing from that app.
func (p *planner) route() {
	state, backends := p.serving()
	for _, b := range backends {
		p.backends[b.Name] = true
	}
	var limits model.RouteLimits
	if p.dw.Good != nil {
		web, _ := p.dw.Good.Process(model.ProcessWeb)
		limits = web.HTTP
	}
	for _, d := range p.dw.Domains {
		p.out.routes = append(p.out.routes, model.Route{
			Host: d.Host, WorkloadID: p.dw.Workload.ID, App: p.dw.App.Name, TLS: d.TLS, State: state, Backends: backends, Limits: limits,
		})
	}
	if p.dw.Good == nil || p.dw.Good.Function == nil {
		return
	}
	f := p.dw.Good.Function
	for _, d := range p.dw.On[f.On] {
		for _, path := range f.Routes {
			p.out.routes = append(p.out.routes, model.Route{
				Host: d.Host, Path: path, Middleware: f.Middleware, WorkloadID: p.dw.Workload.ID, App: p.dw.App.Name, TLS: d.TLS, State: state, Backends: backends,
			})
		}
	}
}

func (p *planner) serving() (model.RouteState, []model.Backend) {
	if p.dw.Good == nil {
		if p.deploying() {
			return model.RouteStarting, nil
		}
		return model.RouteDown, nil
	}
	web, ok := p.dw.Good.Process(model.ProcessWeb)
	if !ok || p.count(web) == 0 {
		return model.RouteStopped, nil
	}
	port := uint16(p.dw.Good.PortOf(web)) //nolint:gosec // Process.Validate bounds it
	var well, unwell, extra []model.Backend
	coming := false
	for _, s := range p.good {
		if s.process.Name != model.ProcessWeb {
			continue
		}
		c := p.seen[s.name]
		backend := model.Backend{Name: s.name, Addr: netip.AddrPortFrom(c.Addr, port)}
		if s.release.Hosted() {
			backend = model.Backend{Name: s.name, Function: s.release.Function != nil, Static: s.release.Static != nil}
		}
		switch state, _ := p.state(s); state {
		case model.ReplicaHealthy:
			well = append(well, backend)
		case model.ReplicaUnhealthy:
			unwell = append(unwell, backend)
		case model.ReplicaStarting:
			coming = true
		}
	}
	if len(well) == 0 {
		extra = p.surplus(port)
	}
	switch {
	case len(well) > 0:
		return model.RouteServing, well
	case len(extra) > 0:
		return model.RouteServing, extra
	case len(unwell) > 0:
		return model.RouteServing, unwell
	case coming:
		return model.RouteStarting, nil
	}
	return model.RouteDown, nil
}

// surplus returns the healthy web replicas of the good release that are more than wanted: after scaling down they
// serve on until one of the wanted does.
func (p *planner) surplus(port uint16) []model.Backend {
	wanted := map[string]bool{}
	for _, s := range p.good {
		wanted[s.name] = true
	}
	var out []model.Backend
	for _, name := range sortedNames(p.seen) {
		c := p.seen[name]
		_, leaving := p.mem.running[opRetire.key(name)]
		h := p.mem.health[name].state
		if !wanted[name] && !leaving && c.State == model.ContainerRunning && c.Replica.Role == model.RoleReplica && c.Replica.Target() == p.dw.Workload.Good &&
			c.Replica.Process == model.ProcessWeb && (h == healthy || h == presumed) {
			out = append(out, model.Backend{Name: name, Addr: netip.AddrPortFrom(c.Addr, port)})
		}
	}
	return out
}

// state returns how a replica is, and since when where that is known.
func (p *planner) state(s slot) (model.ReplicaState, time.Time) {
	c, ok := p.seen[s.name]
	if !ok || c.State != model.ContainerRunning {
		history := p.mem.crashes[s.name]
		if p.later(history.next) || p.later(history.start.next) {
			return model.ReplicaBackoff, history.at
		}
		return model.ReplicaStarting, time.Time{}
	}
	if o, leaving := p.mem.running[opRetire.key(s.name)]; leaving && !o.unwell {
		return model.ReplicaDraining, time.Time{}
	}
	if s.release.Hosted() {
		return model.ReplicaHealthy, c.StartedAt // a function that did not begin well is not loaded at all, nor is a site
	}
	if s.process.Name != model.ProcessWeb {
		if p.later(c.StartedAt.Add(stableFor)) {
			return model.ReplicaStarting, c.StartedAt
		}
		return model.ReplicaHealthy, c.StartedAt.Add(stableFor)
	}
	h := p.mem.health[s.name]
	switch {
	case h.state == healthy, h.state == presumed:
		return model.ReplicaHealthy, h.since
	case h.state == unhealthy:
		return model.ReplicaUnhealthy, h.since
	case h.failures == 0: // not asked yet, however long it has run before it was found
		return model.ReplicaStarting, c.StartedAt
	}
	grace := s.process.Health.Grace.Or(model.DefaultHealthGrace)
	if p.later(c.StartedAt.Add(grace)) {
		return model.ReplicaStarting, c.StartedAt
	}
	return model.ReplicaUnhealthy, c.StartedAt.Add(grace)
}
