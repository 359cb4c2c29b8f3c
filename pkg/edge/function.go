package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/egress"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// function is one that is started: a replica. It is cold until a call needs it: then its program is opened.
type function struct {
	host    *Host
	spec    model.ContainerSpec
	started time.Time
	detail  string // for people, since it was started; "" after a restart
	limits  model.FunctionLimits
	policy  egress.Policy
	gate    *gate
	client  func() *egress.Client // made by the first outbound request
	counts  counts

	mu       sync.Mutex
	program  guest.Program // nil: cold
	snapshot int64         // bytes of it, counted in host.held
	opening  *opening
	idle     []*isolate // the one used last is last
	out      int        // isolates in use
	working  int64      // bytes of them, when they were taken
	used     time.Time
	calls    map[*call]struct{} // that began and have not ended
	ending   bool
	quiet    chan struct{} // closed when ending and no call is left
	gone     chan struct{} // closed when removed
	asked    atomic.Bool   // client was made
}

// isolate is one of a function's.
type isolate struct {
	guest.Isolate
	memory int64 // bytes, when it was last given back, or made
	born   int64 // bytes, when it was made
	idleAt time.Time
}

func (h *Host) newFunction(k kept) *function {
	limits := k.Spec.Function.Limits.Filled()
	f := &function{
		host: h, spec: k.Spec, started: k.Started, limits: limits, gate: newGate(limits.Concurrency),
		calls: map[*call]struct{}{}, quiet: make(chan struct{}), gone: make(chan struct{}),
	}
	policy, err := egress.Parse(k.Spec.Function.Egress)
	if err != nil { // Validate has seen it; what cannot be read opens nothing
		policy, _ = egress.Parse([]string{egress.None})
	}
	f.policy = policy
	f.client = sync.OnceValue(func() *egress.Client {
		f.asked.Store(true)
		return h.newClient(f)
	})
	return f
}

// container is how the controller sees it.
func (f *function) container() model.Container {
	return model.Container{
		Name: f.spec.Name, Replica: f.spec.Replica, State: model.ContainerRunning, Detail: f.detail, CreatedAt: f.started, StartedAt: f.started,
	}
}

func (f *function) env() map[string]string {
	env := make(map[string]string, len(f.spec.Env))
	for _, e := range f.spec.Env {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	return env
}

// begin counts a call in; false where the function is being removed.
func (f *function) begin(c *call) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ending {
		return false
	}
	f.calls[c] = struct{}{}
	return true
}

func (f *function) finish(c *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.calls, c)
	if f.ending && len(f.calls) == 0 {
		close(f.quiet)
	}
}

// end lets no call begin any more.
func (f *function) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ending {
		return
	}
	f.ending = true
	if len(f.calls) == 0 {
		close(f.quiet)
	}
}

// drain waits for calls until ctx ends, and then cuts them. It tells whether none is left.
func (f *function) drain(ctx context.Context) bool {
	select {
	case <-f.quiet:
		return true
	case <-ctx.Done():
	}
	f.mu.Lock()
	n := len(f.calls)
	for c := range f.calls {
		c.cancel(errCut)
	}
	f.mu.Unlock()
	if n > 0 {
		f.host.cfg.Logger.Warn().Str("function", f.spec.Name).Int("calls", n).Msg("calls were cut off")
	}
	late := time.NewTimer(cutTime)
	defer late.Stop()
	select {
	case <-f.quiet:
		return true
	case <-late.C:
		return false
	}
}

// drop makes the function cold, where nothing of it is in use and nothing was since before. It tells whether that is so.
func (f *function) drop(ctx context.Context, before time.Time) (bool, error) {
	f.mu.Lock()
	if f.out > 0 || len(f.calls) > 0 || f.program == nil || !f.used.Before(before) {
		f.mu.Unlock()
		return false, nil
	}
	idle, program, snapshot := f.idle, f.program, f.snapshot
	f.idle, f.program, f.snapshot = nil, nil, 0
	f.mu.Unlock()
	var err error
	for _, i := range idle {
		f.host.held.Add(-i.memory)
		err = errors.Join(err, i.Close(ctx))
	}
	f.host.held.Add(-snapshot)
	err = errors.Join(err, program.Close(ctx))
	if f.asked.Load() {
		f.client().Close()
	}
	if err != nil {
		return true, fmt.Errorf("freeing %s: %w", f.spec.Name, err)
	}
	return true, nil
}

// log writes a line of pandabox's into the function's own log.
func (f *function) log(format string, args ...any) {
	f.host.cfg.Log(f.spec.Replica, "stderr", fmt.Sprintf(format, args...))
}
