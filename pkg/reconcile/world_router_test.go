package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func (s *session) Publish(ctx context.Context, routes []model.Route) error {
	if err := s.gone(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publErr != nil {
		return s.publErr
	}
	if !s.step() {
		return errDead
	}
	return s.take(make(map[string]model.Route, len(routes)), routes)
}

var _ Patcher = (*session)(nil)

func (s *session) Patch(ctx context.Context, routes []model.Route) error {
	if err := s.gone(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publErr != nil {
		return s.publErr
	}
	next := maps.Clone(s.table)
	given := map[string]int{}
	for _, r := range routes {
		old, ok := next[r.Host+r.Path]
		if !ok || old.WorkloadID != r.WorkloadID || old.TLS != r.TLS || old.Middleware != r.Middleware {
			s.broke("%s is patched and is not in the table", r.Host+r.Path)
			return errors.New("publish")
		}
		delete(next, r.Host+r.Path)
		given[r.WorkloadID]++
	}
	for _, r := range next {
		if given[r.WorkloadID] > 0 {
			s.broke("%s is not in the patch of its workload", r.Host+r.Path)
		}
	}
	if !s.step() {
		return errDead
	}
	s.patches++
	return s.take(next, routes)
}

// take puts a table in force: what is in next, and routes.
func (s *session) take(next map[string]model.Route, routes []model.Route) error {
	for _, r := range routes {
		at := r.Host + r.Path
		if _, twice := next[at]; twice {
			s.broke("%s is routed twice", at)
		}
		next[at] = r
	}
	s.publishes++
	s.check(next)
	s.first = true
	s.table = next
	s.tell("publish %v", next)
	return s.refused
}

// check holds the promise of no gap: a host with a backend that answers keeps one, unless somebody asked otherwise or
// nothing of the good release answers; and the first table of a daemon has whatever runs.
func (s *session) check(next map[string]model.Route) {
	for _, dw := range s.workloads {
		if dw.Workload.Deleting || dw.Workload.Good.IsZero() || s.withoutWeb(dw) {
			continue
		}
		var alive []string
		for name, c := range s.containers {
			if c.Replica.Target() == dw.Workload.Good && c.Replica.Process == model.ProcessWeb && c.Replica.Role == model.RoleReplica && s.answers(c) {
				alive = append(alive, name)
			}
		}
		for _, d := range dw.Domains {
			at := d.Host
			had, has := s.answering(s.table[at], s.answers), s.answering(next[at], s.seemsWell)
			switch {
			case has > 0:
			case had > 0 && len(alive) > 0:
				s.broke("%s lost its last backend although %v answer (%s → %s)", at, alive, s.table[at].State, next[at].State)
			case !s.first && len(alive) > 0:
				s.broke("%s has no backend in the first table although %v answer", at, alive)
			}
		}
	}
}

// withoutWeb tells whether a release of the workload may take its web replicas away.
func (w *world) withoutWeb(dw *model.DesiredWorkload) bool {
	for _, r := range w.releases {
		if r.WorkloadID == dw.Workload.ID {
			if web, ok := r.Process(model.ProcessWeb); !ok || web.Scale.Over(dw.Workload.Scale[web.Name]).Count() == 0 {
				return true
			}
		}
	}
	return false
}

func (w *world) answering(r model.Route, well func(*fakeContainer) bool) int {
	n := 0
	for _, b := range r.Backends {
		if c := w.containers[b.Name]; c != nil && well(c) && c.Addr == b.Addr.Addr() {
			n++
		}
	}
	return n
}

func (w *world) routed(name string) bool {
	for _, r := range w.table {
		for _, b := range r.Backends {
			if b.Name == name {
				return true
			}
		}
	}
	return false
}

func (s *session) Drain(ctx context.Context, backends []string) error {
	for {
		s.mu.Lock()
		n := 0
		for _, b := range backends {
			n += s.inflight[b]
		}
		s.mu.Unlock()
		if n == 0 {
			return nil
		}
		if err := s.sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// tell notes what happened, for the report of a promise that was broken.
func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, time.Now().Format("15:04:05.0000 ")+fmt.Sprintf(format, args...))
}

func (w *world) broke(format string, args ...any) {
	if len(w.broken) == 0 {
		w.broken = append(w.broken, w.story[max(0, len(w.story)-60):]...)
	}
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}
