package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func (s *session) Desired(ctx context.Context) (model.Desired, error) {
	if err := s.sleep(ctx, 100*time.Microsecond); err != nil {
		return model.Desired{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out model.Desired
	for _, id := range slices.Sorted(maps.Keys(s.workloads)) {
		out.Workloads = append(out.Workloads, s.assemble(id))
	}
	return out, nil
}

func (w *world) assemble(id string) model.DesiredWorkload {
	dw := *w.workloads[id]
	dw.Want, dw.Good, dw.Deploy = w.releases[dw.Workload.Want.ReleaseID], w.releases[dw.Workload.Good.ReleaseID], w.deploys[dw.Workload.DeployID]
	dw.On = map[string][]model.Domain{}
	for _, r := range []*model.Release{dw.Want, dw.Good} {
		if r == nil || r.Function == nil {
			continue
		}
		if on := w.workloads[r.Function.On]; on != nil && !on.Workload.Deleting {
			dw.On[r.Function.On] = on.Domains
		}
	}
	return dw
}

func (s *session) Record(ctx context.Context, updates []model.WorkloadUpdate) error {
	took := 2 * time.Millisecond
	s.mu.Lock()
	if s.diskFull {
		took = time.Second // and a disk that is full is slow
	}
	s.mu.Unlock()
	if err := s.sleep(ctx, took); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.diskFull {
		return model.Errorf(model.KindNoSpace, "the disk is full")
	}
	if !s.step() {
		return errDead
	}
	if s.records++; s.records > 5000 {
		panic(fmt.Sprintf("too many transactions: %+v", updates))
	}
	for _, u := range updates {
		s.tell("record %s deploy %v good %v back %v status %v", u.WorkloadID, u.Deploy, u.Good, u.RollBackTo, u.Status)
		if dw := s.workloads[u.WorkloadID]; dw != nil {
			s.apply(dw, u)
		}
	}
	s.signal()
	return nil
}

// apply does what the store does.
func (w *world) apply(dw *model.DesiredWorkload, u model.WorkloadUpdate) {
	id := dw.Workload.ID
	if u.Removed {
		if dw.Workload.Deleting {
			delete(w.workloads, id)
			maps.DeleteFunc(w.deploys, func(_ string, d *model.Deploy) bool { return d.WorkloadID == id })
			maps.DeleteFunc(w.releases, func(_ string, r *model.Release) bool { return r.WorkloadID == id })
		}
		return
	}
	if r := w.releases[u.ReleaseID]; r != nil && u.Static != nil {
		is := *r
		is.Static = u.Static
		w.releases[r.ID] = &is
	}
	if r := w.releases[u.ReleaseID]; r != nil && u.Image != nil && (r.Image.Digest == "" || r.Build != nil) {
		is := *r
		is.Image = *u.Image
		w.releases[u.ReleaseID] = &is
	}
	if u.Deploy != nil {
		if was := w.deploys[u.Deploy.ID]; was != nil && !was.State.Final() {
			is := *was
			is.State, is.Phases, is.Error, is.FinishedAt = u.Deploy.State, u.Deploy.Phases, u.Deploy.Error, u.Deploy.FinishedAt
			if is.State != was.State && !was.State.CanBecome(is.State) {
				w.broke("deploy %s went from %s to %s", is.ID, was.State, is.State)
			}
			w.deploys[is.ID] = &is
			w.history[is.ID] = append(w.history[is.ID], is.State)
		}
	}
	next := *dw
	if u.Good != nil {
		next.Workload.Good = *u.Good
	}
	speaks := u.Settled
	if u.Deploy != nil {
		speaks = u.Deploy.ID
	}
	if u.RollBackTo != nil && dw.Workload.DeployID == speaks {
		next.Workload.Want, next.Workload.DeployID = *u.RollBackTo, ""
	}
	if u.Settled != "" && next.Workload.DeployID == u.Settled {
		next.Workload.DeployID = ""
	}
	if u.Status != nil {
		next.Status = *u.Status
	}
	w.workloads[id] = &next
}

func (s *session) Keep(context.Context) (model.Keep, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var k model.Keep
	for _, dw := range s.workloads {
		k.Environments = append(k.Environments, dw.Env.ID)
	}
	return k, nil
}

func (w *world) Changed() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs[ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, ch)
	}
}

func (w *world) signal() {
	for ch := range w.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (s *session) Environ(context.Context, string, int) ([]string, error) {
	return []string{"SECRET=opened", "PORT=1"}, nil
}
