package reconcile

import (
	"context"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// workload is what the controller holds of one workload. Only the controller's goroutine touches it.
type workload struct {
	id   string
	dw   model.DesiredWorkload // as last read, with what was decided since; zero for a workload nobody knows
	seen map[string]model.Container
	mem  *memory

	ops     map[string]*running // by key
	watches map[string]*watch   // by container
	routes  []model.Route
	at      int // where routes are in the table
	wake    time.Time

	pending  *model.WorkloadUpdate // decided, not yet being written
	since    time.Time             // of pending
	inflight *model.WorkloadUpdate // being written
	intentAt uint64                // sequence number after which a snapshot has the targets and deploys written last
	statusAt uint64                // the same of the status
	stale    bool                  // a snapshot was passed over: look at the next even where nothing changed in it
}

func newWorkload(id string, readLogs bool) *workload {
	w := &workload{
		id: id, seen: map[string]model.Container{}, mem: newMemory(),
		ops: map[string]*running{}, watches: map[string]*watch{},
	}
	w.mem.readLogs = readLogs
	return w
}

// adopt takes over a newer snapshot, taken when the sequence number was at. What was decided since and is not yet in
// it stays.
func (w *workload) adopt(dw *model.DesiredWorkload, at uint64) bool {
	if intent(w.pending) || intent(w.inflight) || at < w.intentAt {
		w.stale = true
		return false
	}
	status, known := w.dw.Status, w.dw.Workload.ID != ""
	w.dw, w.stale, w.mem.removed = *dw, false, false
	if known && (w.pending != nil || w.inflight != nil || at < w.statusAt) {
		w.dw.Status = status
	}
	return true
}

// due returns when what was decided should be written.
func (w *workload) due() time.Time {
	if urgent(w.pending) {
		return w.since
	}
	return w.since.Add(statusDelay)
}

// empty tells whether there is nothing left to do for a workload nobody knows.
func (w *workload) empty() bool { return w.dw.Workload.ID == "" && len(w.seen) == 0 && len(w.ops) == 0 }

// watch is the goroutine that probes one replica.
type watch struct {
	run    run
	cancel context.CancelFunc
}

// intent tells whether an update changes more than status.
func intent(u *model.WorkloadUpdate) bool {
	return u != nil && (u.Deploy != nil || u.Good != nil || u.RollBackTo != nil || u.Settled != "" || u.Removed || u.Image != nil || u.Static != nil)
}

// urgent tells whether something waits for the update to be stored; a new phase of a deploy and status do not.
func urgent(u *model.WorkloadUpdate) bool {
	return u.Good != nil || u.RollBackTo != nil || u.Settled != "" || u.Removed || u.Image != nil || u.Static != nil
}

// merge returns both updates in one; what b says counts.
func merge(a, b *model.WorkloadUpdate) *model.WorkloadUpdate {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	m := *a
	if b.Status != nil {
		m.Status = b.Status
	}
	if b.Image != nil {
		m.ReleaseID, m.Image = b.ReleaseID, b.Image
	}
	if b.Static != nil {
		m.ReleaseID, m.Static = b.ReleaseID, b.Static
	}
	if b.Deploy != nil {
		m.Deploy = b.Deploy
	}
	if b.Good != nil {
		m.Good = b.Good
	}
	if b.RollBackTo != nil {
		m.RollBackTo = b.RollBackTo
	}
	if b.Settled != "" {
		m.Settled = b.Settled
	}
	m.Removed = m.Removed || b.Removed
	return &m
}
