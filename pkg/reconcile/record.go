package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// statusDelay is how long what nothing waits for may wait to be written, so that many are written in one transaction.
const statusDelay = 100 * time.Millisecond

// save has an update written with the next batch.
func (c *Controller) save(w *workload, u *model.WorkloadUpdate, now time.Time) {
	if w.pending == nil {
		w.since = now
	}
	w.pending = merge(w.pending, u)
	c.unsaved[w.id] = w
}

// record begins to write what was decided, unless a write is under way.
func (c *Controller) record(ctx context.Context, now time.Time) {
	if c.recording || now.Before(c.recordAt) {
		return
	}
	due := false
	for _, w := range c.unsaved {
		due = due || !now.Before(w.due())
	}
	if !due {
		return
	}
	batch := make([]model.WorkloadUpdate, 0, len(c.unsaved))
	for _, id := range slices.Sorted(maps.Keys(c.unsaved)) {
		w := c.unsaved[id]
		w.inflight, w.pending = w.pending, nil
		batch = append(batch, *w.inflight)
	}
	clear(c.unsaved)
	c.recording = true
	c.wg.Go(func() {
		failed, err := c.write(ctx, batch)
		c.post(ctx, func() { c.recorded(batch, failed, err) })
	})
}

// write records a batch. When that fails it tries the updates one by one, so that a bad one holds up no other, and
// returns the workloads that failed.
func (c *Controller) write(ctx context.Context, batch []model.WorkloadUpdate) (map[string]bool, error) {
	err := c.cfg.State.Record(ctx, batch)
	if err == nil {
		return nil, nil
	}
	failed := map[string]bool{}
	var all []error
	for _, u := range batch {
		if len(batch) > 1 {
			err = c.cfg.State.Record(ctx, []model.WorkloadUpdate{u})
		}
		if err != nil {
			failed[u.WorkloadID] = true
			all = append(all, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed, errors.Join(all...)
}

// recorded folds in the outcome of a write.
func (c *Controller) recorded(batch []model.WorkloadUpdate, failed map[string]bool, err error) {
	c.recording = false
	c.note(func(st *Stats) { st.RecordError = err })
	if err != nil {
		c.recordFailed++
		c.recordAt = c.clock.Now().Add(min(backoff(c.recordFailed), 30*time.Second))
		c.log.Error().Err(err).Int("workloads", len(failed)).Msg("writing what was seen failed")
	} else {
		c.recordFailed, c.recordAt = 0, time.Time{}
	}
	at := c.seq.Add(1)
	for _, u := range batch {
		w := c.workloads[u.WorkloadID]
		if w == nil || w.inflight == nil {
			continue
		}
		was := w.inflight
		w.inflight = nil
		if failed[u.WorkloadID] {
			w.pending = merge(was, w.pending)
			c.unsaved[w.id] = w
			continue
		}
		w.statusAt = at
		if intent(was) {
			w.intentAt = at
			c.touch(w)
		}
		if was.Removed || was.Settled != "" {
			c.reclaimWant = true
		}
		if w.stale || intent(was) {
			c.wake(c.reread)
		}
	}
}

// reclaim frees the space of what nothing refers to any more: after a deploy or a removal, and not too often.
func (c *Controller) reclaim(ctx context.Context, now time.Time) {
	if !c.reclaimWant || c.reclaiming || now.Before(c.reclaimedAt.Add(c.lim.Reclaim)) {
		return
	}
	c.reclaimWant, c.reclaiming, c.reclaimedAt = false, true, now
	c.wg.Go(func() {
		keep, err := c.cfg.State.Keep(ctx)
		if err == nil {
			err = c.cfg.Images.Reclaim(ctx, keep)
		}
		c.post(ctx, func() {
			c.reclaiming = false
			if err != nil && ctx.Err() == nil {
				c.reclaimWant = true
				c.log.Warn().Err(err).Msg("reclaiming space failed")
			}
		})
	})
}
