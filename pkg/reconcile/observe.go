package reconcile

import (
	"context"
	"reflect"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// readRetry is the pause after reading intent or listing containers failed.
const readRetry = 500 * time.Millisecond

// snapshot is intent as read.
type snapshot struct {
	workloads map[string]*model.DesiredWorkload
	changed   []string  // ids of those that are new or not as in the snapshot before
	at        uint64    // sequence number before it was read
	began     time.Time // when it was read
}

// read reads intent whenever it changed, and tells Run what is new in it.
func (c *Controller) read(ctx context.Context) {
	changed, release := c.cfg.State.Changed()
	defer release()
	var last map[string]*model.DesiredWorkload
	for {
		began := c.clock.Now()
		s := snapshot{at: c.seq.Load(), began: began}
		desired, err := c.cfg.State.Desired(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.log.Error().Err(err).Msg("reading what is wanted failed")
		} else {
			s.workloads, s.changed = compare(last, desired.Workloads)
			last = s.workloads
			c.post(ctx, func() { c.wanted(s) })
		}
		took := c.clock.Now().Sub(began)
		c.note(func(st *Stats) { st.ReadError, st.Read = err, took })
		var retry <-chan time.Time
		if err != nil {
			retry = c.clock.After(readRetry)
		} else if !c.pause(ctx, took) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-c.reread:
		case <-retry:
		}
	}
}

// compare returns the snapshot by id, and what differs from the one before.
func compare(last map[string]*model.DesiredWorkload, now []model.DesiredWorkload) (map[string]*model.DesiredWorkload, []string) {
	all := make(map[string]*model.DesiredWorkload, len(now))
	var changed []string
	for i := range now {
		dw := &now[i]
		if was := last[dw.Workload.ID]; was == nil || !reflect.DeepEqual(was, dw) {
			changed = append(changed, dw.Workload.ID)
		}
		all[dw.Workload.ID] = dw
	}
	return all, changed
}

// wanted folds in a snapshot of intent.
func (c *Controller) wanted(s snapshot) {
	for _, id := range s.changed {
		w := c.workload(id)
		if w.adopt(s.workloads[id], s.at) {
			c.touch(w)
		}
	}
	for id, w := range c.workloads {
		switch dw := s.workloads[id]; {
		case dw == nil && (s.at < w.intentAt || w.inflight != nil):
			w.stale = true
		case dw == nil && w.dw.Workload.ID != "":
			w.dw, w.pending = model.DesiredWorkload{}, nil
			delete(c.unsaved, id)
			c.touch(w)
		case dw != nil && w.stale && w.adopt(dw, s.at):
			c.touch(w)
		}
	}
	for id := range c.workloads { // containers of nobody may have waited for this snapshot
		if s.workloads[id] == nil {
			c.touch(c.workloads[id])
		}
	}
	if !c.haveState {
		c.haveState = true
		c.dirtyAll()
	}
	c.readAt = s.began
}

// list lists all containers whenever the runtime says so, and now and then anyway.
func (c *Controller) list(ctx context.Context) {
	events := c.cfg.Runtime.Events(ctx)
	for {
		began, at := c.clock.Now(), c.seq.Load()
		containers, err := c.cfg.Runtime.List(ctx)
		if ctx.Err() != nil {
			return
		}
		took := c.clock.Now().Sub(began)
		if err != nil {
			c.log.Error().Err(err).Msg("listing containers failed")
		} else {
			c.post(ctx, func() { c.listed(containers, at) })
		}
		c.note(func(st *Stats) { st.ListError, st.List = err, took })
		again := c.lim.Resync
		if err != nil {
			again = readRetry
		} else if !c.pause(ctx, took) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case _, open := <-events:
			if !open {
				events = nil
			}
		case <-c.relist:
		case <-c.clock.After(again):
			c.wake(c.reread)
			c.post(ctx, c.dirtyAll)
		}
	}
}

// pause waits as long as the work before took, so that it never takes more than half of the time. It tells whether ctx
// goes on.
func (c *Controller) pause(ctx context.Context, took time.Duration) bool {
	if took <= time.Millisecond {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-c.clock.After(took):
		return true
	}
}

// listed folds in a listing that began when the sequence number was at.
func (c *Controller) listed(containers []model.Container, at uint64) {
	here := make(map[string]bool, len(containers))
	for _, is := range containers {
		here[is.Name] = true
		if c.touched[is.Name] > at {
			continue
		}
		w := c.workload(is.Replica.WorkloadID)
		if was, known := w.seen[is.Name]; !known || was != is {
			w.seen[is.Name] = is
			c.touch(w)
		}
	}
	for _, w := range c.workloads {
		if w.mem.unsure > 0 && w.mem.unsure <= at {
			w.mem.unsure = 0
			c.touch(w)
		}
		for name := range w.seen {
			if !here[name] && c.touched[name] <= at {
				delete(w.seen, name)
				c.touch(w)
			}
		}
	}
	for name, changed := range c.touched {
		if changed <= at {
			delete(c.touched, name)
		}
	}
	if !c.haveList {
		c.haveList = true
		c.dirtyAll()
	}
}
