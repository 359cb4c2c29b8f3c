package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// maxPatch bounds how many routes are patched rather than published with all others.
const maxPatch = 1000

// reroute takes over a workload's new routes.
func (c *Controller) reroute(w *workload, routes []model.Route) {
	same := slices.EqualFunc(w.routes, routes, func(a, b model.Route) bool {
		return a.Host == b.Host && a.Path == b.Path && a.Middleware == b.Middleware && a.App == b.App && a.TLS == b.TLS
	})
	switch {
	case !same:
		c.patches = nil
	case !c.changed && c.tries == 0:
		c.patches = map[string]*workload{w.id: w}
	case c.patches != nil:
		c.patches[w.id] = w
	}
	c.moved = c.moved || len(w.routes) != len(routes)
	c.changed = true
	w.routes = routes
	if !c.moved {
		copy(c.table[w.at:], routes)
	}
}

// publish hands the route table over, where it changed.
func (c *Controller) publish(ctx context.Context, now time.Time) {
	if c.moved {
		c.table = make([]model.Route, 0, len(c.table))
		for _, id := range c.sorted() {
			w := c.workloads[id]
			w.at = len(c.table)
			c.table = append(c.table, w.routes...)
		}
		c.moved = false
	}
	first := !isClosed(c.ready)
	if !first && !c.changed || now.Before(c.retryAt) {
		return
	}
	began := time.Now()
	n, err := c.handOver(ctx, first)
	c.log.Debug().Err(err).Int("routes", n).Dur("took", time.Since(began)).Msg("published")
	if err != nil && !leftOut(err) {
		c.tries++
		c.retryAt, c.changed, c.patches = now.Add(backoff(c.tries)), true, nil
		if ctx.Err() == nil {
			c.log.Error().Err(err).Int("routes", len(c.table)).Msg("publishing the routes failed")
		}
		return
	}
	if err != nil {
		c.log.Warn().Err(err).Msg("routes were left out")
	}
	if c.tries > 0 { // removals were held back
		c.dirtyAll()
	}
	c.changed, c.patches, c.tries, c.retryAt = false, nil, 0, time.Time{}
	if first {
		close(c.ready)
	}
}

// handOver gives the router what changed, or everything, and returns how many routes that was.
func (c *Controller) handOver(ctx context.Context, all bool) (int, error) {
	if patcher, ok := c.cfg.Router.(Patcher); ok && !all && len(c.patches) > 0 {
		var routes []model.Route
		for _, w := range c.patches {
			if routes = append(routes, w.routes...); len(routes) > maxPatch {
				break
			}
		}
		if len(routes) <= maxPatch {
			if err := patcher.Patch(ctx, routes); err == nil || leftOut(err) {
				return len(routes), err
			}
		}
	}
	return len(c.table), c.cfg.Router.Publish(ctx, slices.Clip(c.table))
}

// leftOut tells whether a router's error says only that single routes cannot be served.
func leftOut(err error) bool {
	kind := model.KindOf(err)
	return kind == model.KindInvalid || kind == model.KindConflict
}
