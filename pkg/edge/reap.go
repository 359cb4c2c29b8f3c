package edge

import (
	"context"
	"slices"
	"time"
)

const (
	// programTimes is how much longer than an idle isolate a snapshot is kept that nobody uses.
	programTimes = 10
	// recent is how long ago a function was called at most to be left alone, as long as not twice as much is held as may
	// be: dropping what the next request needs would make it again each time.
	recent = time.Second
)

// hold counts bytes that nobody uses at the moment, and wakes reap where there are too many.
func (h *Host) hold(bytes int64) {
	if h.held.Add(bytes) <= h.cfg.Idle {
		return
	}
	select {
	case h.tooMuch <- struct{}{}:
	default:
	}
}

// reap frees what has been idle for long, and what was used longest ago where too much is held.
func (h *Host) reap(ctx context.Context) {
	look := time.NewTicker(max(h.cfg.IdleTime/4, time.Millisecond))
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			h.reapIdle(ctx, time.Now())
			h.reapMost(ctx, time.Now())
		case <-h.tooMuch:
			h.reapMost(ctx, time.Now())
		}
	}
}

// reapIdle frees what nobody has used for long.
func (h *Host) reapIdle(ctx context.Context, now time.Time) {
	for _, f := range *h.table.Load() {
		f.shrink(ctx, now.Add(-h.cfg.IdleTime))
		h.drop(ctx, f, now.Add(-programTimes*h.cfg.IdleTime))
	}
}

// reapMost frees until no more is held than may be: functions that were called longest ago first; of each the isolates,
// and then the snapshot.
func (h *Host) reapMost(ctx context.Context, now time.Time) {
	if h.held.Load() <= h.cfg.Idle {
		return
	}
	type candidate struct {
		f    *function
		used time.Time
	}
	var all []candidate
	for _, f := range *h.table.Load() {
		all = append(all, candidate{f, f.lastUsed()})
	}
	slices.SortFunc(all, func(a, b candidate) int { return a.used.Compare(b.used) })
	for _, c := range all {
		most := h.cfg.Idle
		if c.used.After(now.Add(-recent)) {
			most *= 2
		}
		if h.held.Load() <= most {
			return
		}
		c.f.shrink(ctx, now)
		if h.held.Load() > most {
			h.drop(ctx, c.f, now)
		}
	}
}

// shrink closes isolates that nobody has used since before.
func (f *function) shrink(ctx context.Context, before time.Time) {
	f.mu.Lock()
	n := 0
	for n < len(f.idle) && f.idle[n].idleAt.Before(before) {
		n++
	}
	gone := slices.Clone(f.idle[:n])
	f.idle = slices.Delete(f.idle, 0, n)
	f.mu.Unlock()
	for _, i := range gone {
		f.host.held.Add(-i.memory)
		if err := i.Close(ctx); err != nil {
			f.host.cfg.Logger.Warn().Err(err).Str("function", f.spec.Name).Msg("closing an idle isolate")
		}
	}
}

// drop makes a function cold that nobody uses.
func (h *Host) drop(ctx context.Context, f *function, before time.Time) {
	if _, err := f.drop(ctx, before); err != nil {
		h.cfg.Logger.Warn().Err(err).Msg("freeing a function")
	}
}

// lastUsed is now for a function that holds nothing.
func (f *function) lastUsed() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.program == nil {
		return time.Now()
	}
	return f.used
}
