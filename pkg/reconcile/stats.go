package reconcile

import "time"

// Stats is how the controller does.
type Stats struct {
	Workloads  int
	Containers int
	Routes     int
	Operations int // under way

	Pass    time.Duration // the newest pass
	Planned int           // workloads it looked at
	FullAll time.Duration // the newest pass that looked at every workload
	List    time.Duration // the newest listing of containers
	Read    time.Duration // the newest reading of intent

	ReadError    error // of the newest attempt to read intent; nil is fine, here and below
	ListError    error
	RecordError  error
	PublishTries int // failed attempts to publish in a row
}

// Stats returns how the controller does now.
func (c *Controller) Stats() Stats {
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	return c.stats
}

func (c *Controller) note(change func(*Stats)) {
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	change(&c.stats)
}

func (c *Controller) measure(planned int, took time.Duration) {
	if planned == 0 {
		return
	}
	c.note(func(st *Stats) {
		st.Pass, st.Planned, st.Routes, st.PublishTries = took, planned, len(c.table), c.tries
		if planned < len(c.workloads) {
			return
		}
		st.FullAll, st.Workloads, st.Containers, st.Operations = took, 0, 0, 0
		for _, w := range c.workloads {
			if w.dw.Workload.ID != "" {
				st.Workloads++
			}
			st.Containers += len(w.seen)
			st.Operations += len(w.ops)
		}
		c.log.Debug().Int("workloads", st.Workloads).Dur("read", st.Read).Dur("took", took).Msg("full pass")
	})
}
