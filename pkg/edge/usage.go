package edge

import (
	"sync/atomic"

	"github.com/pandabox/pandabox/pkg/model"
)

// Usage is what a function uses, and what it did since it was started or the daemon was.
type Usage struct {
	model.Usage
	Requests int64 `json:"requests"` // scheduled calls included
	Errors   int64 `json:"errors"`   // of these, the ones that failed
	Running  int   `json:"running"`  // calls at this moment
	Waiting  int   `json:"waiting"`  // calls that wait for their turn
	Isolates int   `json:"isolates"` // at this moment, idle ones included
	Made     int64 `json:"made"`     // isolates that were made
}

type counts struct {
	requests, errors, refused, isolates atomic.Int64
}

// Usage tells what a function uses; false where there is none of that name. Memory is that of its idle isolates and of
// its snapshot; isolates at work count with what they had when they began.
func (h *Host) Usage(name string) (Usage, bool) {
	f := h.find(name)
	if f == nil {
		return Usage{}, false
	}
	u := Usage{Requests: f.counts.requests.Load(), Errors: f.counts.errors.Load(), Made: f.counts.isolates.Load()}
	u.At = h.cfg.Now().UTC()
	u.Running, u.Waiting = f.gate.count()
	f.mu.Lock()
	defer f.mu.Unlock()
	u.Memory = f.snapshot + f.working
	for _, i := range f.idle {
		u.Memory += i.memory
	}
	u.Isolates = len(f.idle) + f.out
	return u, true
}
