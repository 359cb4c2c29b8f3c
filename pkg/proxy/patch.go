package proxy

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/pandabox/pandabox/pkg/model"
)

// ErrPublish is returned by Patch for what only Publish can do; nothing has changed then.
var ErrPublish = errors.New("proxy: the whole table has to be published")

// maxOver bounds how many hosts may differ from the maps that tables share, so that a patch never copies much.
const maxOver = 2048

// Patch puts these routes in the place of those for the same hosts and paths, in one swap. They have to be all routes of their
// workloads, and differ from what is in force in state, backends and limits only. It takes as long as the routes it is
// given, not as the table is big: a deploy among 10,000 hosts is some microseconds.
func (p *Proxy) Patch(_ context.Context, routes []model.Route) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	prev := p.table.Load()
	if len(prev.over)+len(routes) > maxOver {
		return ErrPublish
	}
	for i := range routes {
		in := &routes[i]
		old := prev.at(in.Host, in.Path)
		if old == nil || (in.Path == "" && prev.exact[in.Host] == nil) || old.Middleware != in.Middleware ||
			old.WorkloadID != in.WorkloadID || old.App != in.App || old.TLS != in.TLS {
			return ErrPublish
		}
	}
	next := &table{exact: prev.exact, wild: prev.wild, over: make(map[string]*route, len(prev.over)+len(routes)), paths: prev.paths}
	maps.Copy(next.over, prev.over)
	if slices.ContainsFunc(routes, func(r model.Route) bool { return r.Path != "" }) {
		next.paths = clonePaths(prev.paths)
	}
	var problems []error
	used := map[*backend]bool{}
	for i := range routes {
		r, wrong := newRoute(&routes[i], routes[i].Host, p.backend)
		r.seen = p.published
		problems = append(problems, wrong...)
		for _, b := range r.backends {
			b.published = p.published
			used[b] = true
		}
		if r.Path != "" {
			next.paths[r.Host] = next.paths[r.Host].with(r)
		} else {
			next.over[r.Host] = r
		}
	}
	p.table.Store(next)
	for i := range routes {
		for _, b := range prev.at(routes[i].Host, routes[i].Path).backends {
			if !used[b] && !b.retired.Load() {
				p.retire(b)
			}
		}
	}
	p.forgetGone()
	return errors.Join(problems...)
}
