package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// backendKey tells replicas apart: a container that came back may have another address.
type backendKey = model.Backend

// Publish makes routes the whole table, in one swap: every request that begins afterwards sees it. Routes that cannot
// be served are left out one by one and listed in the error; all others are served whatever the error says.
// What no route names any more gets no new requests from then on; see Drain.
func (p *Proxy) Publish(_ context.Context, routes []model.Route) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published++
	next, problems := build(p.table.Load(), routes, p.published, p.cfg.BaseDomain, p.backend)
	p.table.Store(next)
	for r := range next.all {
		for _, b := range r.backends {
			b.published = p.published
		}
	}
	for _, b := range p.backends {
		if b.published != p.published {
			p.retire(b)
		}
	}
	p.forgetGone()
	p.certs.wake()
	return errors.Join(problems...)
}

// backend returns the replica of this name and address. p.mu is held.
func (p *Proxy) backend(b model.Backend) *backend {
	have, ok := p.backends[b]
	if !ok {
		have = newBackend(b)
		p.backends[b] = have
	}
	return have
}

// retire ends new requests to a backend that no route has any more. p.mu is held.
func (p *Proxy) retire(b *backend) {
	b.retired.Store(true)
	b.closeIdle()
	p.leaving = append(p.leaving, b)
	delete(p.backends, b.Backend)
}

// forgetGone drops the retired backends that serve nothing any more. p.mu is held.
func (p *Proxy) forgetGone() {
	kept := p.leaving[:0]
	for _, b := range p.leaving {
		if b.inflight.Load() > 0 {
			kept = append(kept, b)
		}
	}
	clear(p.leaving[len(kept):])
	p.leaving = kept
}

// Drain waits until no request, stream or WebSocket is in flight to the replicas of these names. When the deadline of
// ctx passes first, what is left is cut, and the error says how much that was. When ctx is canceled nothing is cut.
func (p *Proxy) Drain(ctx context.Context, names []string) error {
	backends := p.named(names)
	if waitIdle(ctx, backends) {
		return nil
	}
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return fmt.Errorf("draining: %w", context.Cause(ctx)) // called off: the replica is wanted again
	}
	return cut(ctx, backends)
}

// named returns the backends of these names, those that have left the table included.
func (p *Proxy) named(names []string) []*backend {
	want := make(map[string]bool, len(names))
	for _, n := range names {
		want[n] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*backend
	for _, b := range p.leaving {
		if want[b.Name] {
			out = append(out, b)
		}
	}
	for _, b := range p.backends {
		if want[b.Name] {
			out = append(out, b)
		}
	}
	return out
}

// cutGrace bounds how long a cut request may take to notice.
const cutGrace = 5 * time.Second

// drain waits for backends to be idle and cuts what is left when ctx ends.
func drain(ctx context.Context, backends []*backend) error {
	if waitIdle(ctx, backends) {
		return nil
	}
	return cut(ctx, backends)
}

// cut ends what is in flight to backends, now that ctx has ended, and waits for that.
func cut(ctx context.Context, backends []*backend) error {
	left := busy(backends)
	for _, b := range backends {
		b.cutAll()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutGrace)
	defer cancel()
	waitIdle(end, backends)
	return fmt.Errorf("cut %d requests still in flight: %w", left, context.Cause(ctx))
}

// waitIdle polls until nothing is in flight; false means that ctx ended first.
func waitIdle(ctx context.Context, backends []*backend) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for busy(backends) > 0 {
		select {
		case <-ctx.Done():
			return busy(backends) == 0
		case <-tick.C:
		}
	}
	return true
}

func busy(backends []*backend) (n int64) {
	for _, b := range backends {
		n += b.inflight.Load()
	}
	return n
}
