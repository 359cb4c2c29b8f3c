package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

type release struct {
	act       behaviour
	processes []model.Process
	config    int
	function  *model.Function // in place of processes
	static    *model.Static   // likewise, and built
	built     bool            // of source
}

func webOnly() []model.Process {
	return []model.Process{{Name: model.ProcessWeb, Health: model.HealthCheck{Interval: model.Duration(time.Second)}}}
}

// create makes a workload with one domain.
func (w *world) create(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workloads[id] = &model.DesiredWorkload{
		Workload: model.Workload{ID: id, EnvID: "env-" + id, AppID: "app-" + id},
		App:      model.App{ID: "app-" + id, Name: id}, Env: model.Environment{ID: "env-" + id, Name: "production"},
		Domains: []model.Domain{{Host: id + ".test", WorkloadID: id, TLS: model.TLSOff}},
		Status:  model.WorkloadStatus{WorkloadID: id, State: model.WorkloadNew},
	}
	w.signal()
}

// deploy makes a release and a deploy of it.
func (w *world) deploy(id string, r release) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	next.Workload.LastRelease++
	n := next.Workload.LastRelease
	rid := fmt.Sprintf("%s-r%d", id, n)
	is := &model.Release{ID: rid, WorkloadID: id, Number: n, Processes: r.processes, Function: r.function, Static: r.static, ConfigVersion: r.config, CreatedAt: time.Now()}
	switch {
	case r.built, r.static != nil:
		is.Build = &model.BuildSpec{Source: "sha256:" + rid}
	case r.function == nil:
		is.Image = model.Image{Ref: rid}
	}
	if r.function == nil && r.static == nil && r.processes == nil {
		is.Processes = webOnly()
	}
	w.releases[rid] = is
	w.acts[rid] = r.act
	return w.move(&next, model.DeployRelease, model.Target{ReleaseID: rid})
}

// move writes a deploy to a target.
func (w *world) move(next *model.DesiredWorkload, kind model.DeployKind, to model.Target) *model.Deploy {
	if was := w.deploys[next.Workload.DeployID]; was != nil && !was.State.Final() {
		is := *was
		is.State, is.FinishedAt = model.DeploySuperseded, time.Now()
		w.deploys[is.ID] = &is
	}
	w.nextDeploy++
	d := &model.Deploy{
		ID: fmt.Sprintf("dep-%04d", w.nextDeploy), WorkloadID: next.Workload.ID, Kind: kind, Target: to, From: next.Workload.Good,
		State: model.DeployPending, CreatedAt: time.Now(),
	}
	w.deploys[d.ID] = d
	next.Workload.Want, next.Workload.DeployID = to, d.ID
	w.workloads[next.Workload.ID] = next
	w.signal()
	return d
}

func (w *world) restart(id string) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	if next.Workload.Want.IsZero() {
		return nil
	}
	to := next.Workload.Want
	to.Generation++
	return w.move(&next, model.DeployRestart, to)
}

func (w *world) rollback(id string, to model.Target) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	return w.move(&next, model.DeployRollback, to)
}

func (w *world) change(id string, f func(*model.DesiredWorkload)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	f(&next)
	w.workloads[id] = &next
	w.signal()
}

func (w *world) scale(id, process string, n int) {
	w.change(id, func(dw *model.DesiredWorkload) {
		dw.Workload.Scale = maps.Clone(dw.Workload.Scale)
		if dw.Workload.Scale == nil {
			dw.Workload.Scale = map[string]model.Scale{}
		}
		dw.Workload.Scale[process] = model.Scale{Replicas: &n}
	})
}

func (w *world) cancelDeploy(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.deploys[w.workloads[id].Workload.DeployID]; d != nil && !d.State.Final() {
		is := *d
		is.CancelAsked = true
		w.deploys[d.ID] = &is
		w.signal()
	}
}

func (w *world) of(id string) model.DesiredWorkload {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.workloads[id] == nil {
		return model.DesiredWorkload{}
	}
	return w.assemble(id)
}

func (w *world) deployState(d *model.Deploy) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deploys[d.ID]
}

// up returns the names of all containers, sorted; those not running with their state.
func (w *world) up() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []string{}
	for _, name := range slices.Sorted(maps.Keys(w.containers)) {
		if s := w.containers[name].State; s != model.ContainerRunning {
			name += " " + string(s)
		}
		out = append(out, name)
	}
	return out
}

func (w *world) route(host string) (model.RouteState, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.table[host]
	var names []string
	for _, b := range r.Backends {
		names = append(names, b.Name)
	}
	return r.State, names
}

func (w *world) whole(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.broken {
		t.Error(b)
	}
}

func (w *world) started(container string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.starts[container]
}
