package reconcile

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// crowd returns a controller that knows n workloads, each serving with one replica, and has nothing to do.
func crowd(b *testing.B, n int) (*Controller, []model.Container) {
	b.Helper()
	w := newWorld()
	s := &session{world: w, dead: make(chan struct{})}
	c, err := New(Config{State: s, Runtime: s, Images: s, Router: dropRouter{}, Environ: s, Prober: s})
	if err != nil {
		b.Fatal(err)
	}
	var containers []model.Container
	desired := make([]model.DesiredWorkload, n)
	for i := range n {
		id := fmt.Sprintf("app%05d", i)
		r := &model.Release{ID: id + "-r1", WorkloadID: id, Number: 1, Image: model.Image{Digest: "sha256:x"}, Processes: webOnly()}
		to := model.Target{ReleaseID: r.ID}
		desired[i] = model.DesiredWorkload{
			Workload: model.Workload{ID: id, Want: to, Good: to, EnvID: "env"}, App: model.App{Name: id}, Env: model.Environment{Name: "production"},
			Want: r, Good: r, Domains: []model.Domain{{Host: id + ".test"}}, Status: model.WorkloadStatus{WorkloadID: id},
		}
		replica := model.Replica{Role: model.RoleReplica, WorkloadID: id, EnvID: "env", App: id, ReleaseID: r.ID, Release: 1, Process: "web", Index: 1}
		containers = append(containers, model.Container{
			Name: replica.Name(), Replica: replica, State: model.ContainerRunning, Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Pid: i + 1,
			CreatedAt: time.Now().Add(-time.Hour), StartedAt: time.Now().Add(-time.Hour),
		})
	}
	all, changed := compare(nil, desired)
	c.wanted(snapshot{workloads: all, changed: changed, began: time.Now()})
	c.listed(containers, 0)
	now := c.clock.Now()
	for _, w := range c.workloads {
		w.mem.images[w.id+"-r1"] = failure{done: true}
		c.decide(w, now)
		w.pending = nil
	}
	clear(c.unsaved)
	clear(c.dirty)
	c.publish(b.Context(), now)
	return c, containers
}

type dropRouter struct{}

func (dropRouter) Publish(context.Context, []model.Route) error { return nil }
func (dropRouter) Drain(context.Context, []string) error        { return nil }

// A pass over everything when nothing changed: intent and containers compared, every workload planned.
func BenchmarkFullPass2000(b *testing.B) {
	c, containers := crowd(b, 2000)
	var last map[string]*model.DesiredWorkload
	desired := make([]model.DesiredWorkload, 0, len(c.workloads))
	for _, w := range c.workloads {
		desired = append(desired, w.dw)
	}
	last, _ = compare(nil, desired)
	for b.Loop() {
		all, changed := compare(last, desired)
		c.wanted(snapshot{workloads: all, changed: changed, began: time.Now()})
		c.listed(containers, c.seq.Load())
		now := c.clock.Now()
		for _, w := range c.workloads {
			c.decide(w, now)
			if w.pending != nil {
				b.Fatalf("something changed: %+v", *w.pending.Status)
			}
		}
		clear(c.dirty)
		c.publish(b.Context(), now)
	}
}

// From a probe's answer to the table of 10,000 hosts being handed over.
func BenchmarkSwap10000(b *testing.B) {
	c, _ := crowd(b, 10_000)
	w := c.workloads["app05000"]
	name := "app05000-v1-g0-web-1"
	is := w.seen[name]
	is.StartedAt = time.Now().Add(time.Hour) // still in its grace
	w.seen[name] = is
	ill := true
	for b.Loop() {
		h := health{run: runOf(is)}
		if h.state = healthy; ill {
			h.state = starting
		}
		ill = !ill
		w.mem.health[name] = h
		now := c.clock.Now()
		c.decide(w, now)
		if !c.changed {
			b.Fatal("no change", c.workloads["app05000"].routes, ill)
		}
		c.publish(b.Context(), now)
	}
}
