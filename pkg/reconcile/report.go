package reconcile

import (
	"reflect"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// report writes down what is seen of the workload, if that is news.
func (p *planner) report() {
	old := p.dw.Status
	is := model.WorkloadStatus{WorkloadID: p.dw.Workload.ID, UpdatedAt: old.UpdatedAt}
	was := make(map[string]model.ReplicaStatus, len(old.Replicas))
	for _, r := range old.Replicas {
		was[r.Name] = r
	}
	listed, well, coming := map[string]bool{}, 0, 0
	for _, s := range p.out.slots {
		listed[s.name] = true
		r := p.replicaStatus(s, was[s.name])
		is.Replicas = append(is.Replicas, r)
		if s.replica.Target() != p.dw.Workload.Good {
			continue
		}
		switch r.State {
		case model.ReplicaHealthy:
			well++
		case model.ReplicaStarting:
			coming++
		}
	}
	for _, name := range sortedNames(p.seen) {
		c := p.seen[name]
		if listed[name] || c.Replica.Role != model.RoleReplica || c.State != model.ContainerRunning {
			continue
		}
		r := model.ReplicaStatus{Name: name, Replica: c.Replica, State: model.ReplicaDraining, Addr: addr(c)}
		is.Replicas = append(is.Replicas, p.since(r, was[name], time.Time{}))
	}
	is.State = p.sum(len(p.good), well, coming)
	if len(p.backends) > 0 || well > 0 {
		is.Serving = p.dw.Workload.Good
	}
	is.Problem = p.problem()
	if !equalStatus(is, old) {
		is.UpdatedAt = p.now
		p.out.update.Status = &is
		p.dw.Status = is
	}
}

// sum returns the workload's state from the replicas the good release should have.
func (p *planner) sum(all, well, coming int) model.WorkloadState {
	switch {
	case p.dw.Good == nil && p.deploying():
		return model.WorkloadStarting
	case p.dw.Good == nil && p.dw.Status.Problem != nil:
		return model.WorkloadDown
	case p.dw.Good == nil:
		return model.WorkloadNew
	case all == 0:
		return model.WorkloadStopped
	case well == all:
		return model.WorkloadRunning
	case well > 0:
		return model.WorkloadDegraded
	case coming == all:
		return model.WorkloadStarting
	}
	return model.WorkloadDown
}

func (p *planner) replicaStatus(s slot, was model.ReplicaStatus) model.ReplicaStatus {
	c := p.seen[s.name]
	history := p.mem.crashes[s.name]
	r := model.ReplicaStatus{Name: s.name, Replica: s.replica, Restarts: history.restarts, LastExit: history.exit, Addr: addr(c)}
	var since time.Time
	r.State, since = p.state(s)
	if r.State == model.ReplicaBackoff {
		r.NextStart = history.next
		if history.start.next.After(r.NextStart) {
			r.NextStart = history.start.next
		}
	}
	return p.since(r, was, since)
}

// since fills in when the replica's state began: what was written before stays while the state does.
func (p *planner) since(r, was model.ReplicaStatus, since time.Time) model.ReplicaStatus {
	switch {
	case was.State == r.State && !was.Since.IsZero():
		r.Since = was.Since
	case !since.IsZero():
		r.Since = since
	default:
		r.Since = p.now
	}
	return r
}

func addr(c model.Container) string {
	if c.State != model.ContainerRunning || !c.Addr.IsValid() {
		return ""
	}
	return c.Addr.String()
}

// problem says what is wrong with the release that should serve, nil when nothing is. A first deploy that failed stays
// the problem until the next.
func (p *planner) problem() *model.Error {
	if p.dw.Good == nil {
		if p.deploying() {
			return nil
		}
		return p.dw.Status.Problem
	}
	for _, s := range p.good {
		state, _ := p.state(s)
		history := p.mem.crashes[s.name]
		if e := p.replicaProblem(s, state, history); e != nil {
			return e
		}
	}
	return nil
}

// imageError returns the problem of fetching a release's image, if there is one.
func (p *planner) imageError(s slot) error {
	if img := p.mem.images[s.release.ID]; !img.done {
		return img.err
	}
	return nil
}

// equalRoutes tells whether two workloads' routes are the same.
func equalRoutes(a, b []model.Route) bool {
	return slices.EqualFunc(a, b, func(x, y model.Route) bool {
		return x.Host == y.Host && x.Path == y.Path && x.Middleware == y.Middleware && x.WorkloadID == y.WorkloadID && x.App == y.App && x.TLS == y.TLS && x.State == y.State &&
			slices.Equal(x.Backends, y.Backends) && reflect.DeepEqual(x.Limits, y.Limits)
	})
}

// equalStatus tells whether two statuses say the same, but for when they were written.
func equalStatus(a, b model.WorkloadStatus) bool {
	return a.WorkloadID == b.WorkloadID && a.State == b.State && a.Serving == b.Serving && equalProblem(a.Problem, b.Problem) &&
		slices.EqualFunc(a.Replicas, b.Replicas, equalReplica)
}

func equalReplica(a, b model.ReplicaStatus) bool {
	if (a.LastExit == nil) != (b.LastExit == nil) {
		return false
	}
	if a.LastExit != nil {
		x, y := *a.LastExit, *b.LastExit
		if !x.At.Equal(y.At) {
			return false
		}
		x.At = y.At
		if x != y {
			return false
		}
	}
	return a.Name == b.Name && a.Replica == b.Replica && a.State == b.State && a.Addr == b.Addr && a.Restarts == b.Restarts &&
		a.Since.Equal(b.Since) && a.NextStart.Equal(b.NextStart)
}

func equalProblem(a, b *model.Error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && a.What == b.What && a.Why == b.Why && a.Hint == b.Hint
}
