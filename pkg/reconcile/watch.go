package reconcile

import (
	"context"
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// The pauses between probes of a replica that has not answered yet: an eighth of the time it has taken so far, so that
// looking adds little to any start, short or long.
const (
	firstPause   = 2 * time.Millisecond
	longestPause = time.Second
	retryPause   = 2 * time.Second // of a replica that answered once and failed now
)

// watchAll has every running web replica that should run probed, and no other.
func (c *Controller) watchAll(ctx context.Context, w *workload, slots []slot) {
	probed := make(map[string]bool, len(slots))
	for _, s := range slots {
		is, ok := w.seen[s.name]
		if s.process.Name != model.ProcessWeb || s.release.Hosted() || !ok || is.State != model.ContainerRunning {
			continue
		}
		probed[s.name] = true
		if have := w.watches[s.name]; have != nil && have.run == runOf(is) {
			continue
		} else if have != nil {
			have.cancel()
		}
		ctx, cancel := context.WithCancel(ctx)
		w.watches[s.name] = &watch{run: runOf(is), cancel: cancel}
		check := Check{Addr: netip.AddrPortFrom(is.Addr, uint16(s.release.PortOf(s.process))), Path: s.process.Health.Path} //nolint:gosec // Process.Validate bounds it
		if len(w.dw.Domains) > 0 {
			check.Host = w.dw.Domains[0].Host
		}
		c.wg.Go(func() { c.watch(ctx, w, s, runOf(is), check) })
	}
	for name, have := range w.watches {
		if !probed[name] {
			have.cancel()
			delete(w.watches, name)
		}
	}
}

// watch probes one run of one replica until ctx ends.
func (c *Controller) watch(ctx context.Context, w *workload, s slot, of run, check Check) {
	interval := s.process.Health.Interval.Or(model.DefaultHealthInterval)
	timeout := s.process.Health.Timeout.Or(model.DefaultHealthTimeout)
	began, answered := c.clock.Now(), false
	for {
		detail, err := c.probe(ctx, check, timeout)
		if ctx.Err() != nil {
			return
		}
		c.post(ctx, func() {
			if w.mem.probed(s.name, of, detail, err, c.clock.Now()) {
				c.touch(w)
			}
		})
		pause := interval
		switch {
		case err == nil && !answered:
			answered = true
			pause = spread(s.name, interval)
		case err != nil && answered:
			pause = min(interval, retryPause)
		case err != nil:
			pause = min(max(c.clock.Now().Sub(began)/8, firstPause), longestPause, max(interval, firstPause))
		}
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(pause):
		}
	}
}

func (c *Controller) probe(ctx context.Context, check Check, timeout time.Duration) (string, error) {
	if err := c.probes.take(ctx); err != nil {
		return "", err
	}
	defer c.probes.give()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.cfg.Prober.Probe(ctx, check)
}

// spread returns between a half and the whole of the interval, by name, so that replicas found at the same moment are
// not asked at the same moment for ever.
func spread(name string, interval time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return interval/2 + interval/2*time.Duration(h.Sum32()%1024)/1024
}
