package reconcile

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// Controller makes what runs match what is wanted, for as long as Run runs.
type Controller struct {
	cfg   Config
	lim   Limits
	log   zerolog.Logger
	clock Clock

	inbox  chan func() // what happened, to be folded in by Run's goroutine
	reread chan struct{}
	relist chan struct{}
	seq    atomic.Uint64 // grows with every change of ours; orders them with snapshots and listings
	wg     sync.WaitGroup
	ready  chan struct{}

	starts, pulls, checks, probes places

	statsMu sync.Mutex
	stats   Stats

	// What follows belongs to Run's goroutine.

	workloads map[string]*workload
	order     []string             // ids of workloads, sorted; nil: to be made again
	dirty     map[string]*workload // to be planned in this pass
	unsaved   map[string]*workload // with something to be written
	wakeAt    time.Time            // no workload has to be planned before, for want of anything else
	touched   map[string]uint64    // by container: when an operation of ours last changed it; busy while one does
	haveState bool
	haveList  bool
	readAt    time.Time // when the newest snapshot was read

	table   []model.Route
	moved   bool                 // a workload has more or fewer routes than its place in the table
	changed bool                 // the table differs from the one in force
	patches map[string]*workload // all that differs; nil: the whole table has to be published
	retryAt time.Time            // of publishing
	tries   int

	recording    bool
	recordAt     time.Time // no attempt before, after one that failed
	recordFailed int

	reclaiming  bool
	reclaimWant bool
	reclaimedAt time.Time
}

const busy = ^uint64(0)

// New returns a controller. It does nothing until Run.
func New(cfg Config) (*Controller, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Controller{
		cfg: cfg, lim: cfg.Limits, log: cfg.Logger.With().Str("component", "reconcile").Logger(), clock: cfg.Clock,
		inbox: make(chan func(), 256), reread: make(chan struct{}, 1), relist: make(chan struct{}, 1), ready: make(chan struct{}),
		starts: make(places, cfg.Limits.Starts), pulls: make(places, cfg.Limits.Pulls), checks: make(places, 2*cfg.Limits.Starts),
		probes:    make(places, cfg.Limits.Probes),
		workloads: map[string]*workload{}, dirty: map[string]*workload{}, unsaved: map[string]*workload{}, touched: map[string]uint64{},
	}, nil
}

// Ready is closed once the first route table has been published.
func (c *Controller) Ready() <-chan struct{} { return c.ready }

// Run works until ctx ends, then waits for what is under way to stop. Containers go on running. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer c.wg.Wait()
	defer cancel()
	c.reclaimedAt = c.clock.Now()
	c.wg.Go(func() { c.read(ctx) })
	c.wg.Go(func() { c.list(ctx) })
	for {
		var timer <-chan time.Time
		if at := c.next(); !at.IsZero() {
			timer = c.clock.After(max(at.Sub(c.clock.Now()), 0))
		}
		select {
		case <-ctx.Done():
			return nil
		case fold := <-c.inbox:
			fold()
			for n := len(c.inbox); n > 0; n-- {
				(<-c.inbox)()
			}
		case <-timer:
			c.expire()
		}
		c.pass(ctx)
	}
}

// post has something folded in by Run's goroutine.
func (c *Controller) post(ctx context.Context, fold func()) {
	select {
	case c.inbox <- fold:
	case <-ctx.Done():
	}
}

// pass plans every workload something happened to, publishes the routes, begins the operations, and writes what was
// decided: in this order, so that requests reach a new release before anything slow is done.
func (c *Controller) pass(ctx context.Context) {
	if !c.haveState || !c.haveList {
		return
	}
	began, now := time.Now(), c.clock.Now()
	work := make([]*workload, 0, len(c.dirty))
	for _, w := range c.dirty {
		work = append(work, w)
	}
	slices.SortFunc(work, func(a, b *workload) int { return strings.Compare(a.id, b.id) })
	clear(c.dirty)
	decided := make([]decision, len(work))
	for i, w := range work {
		decided[i] = c.decide(w, now)
	}
	c.publish(ctx, now)
	for i, w := range work {
		c.dispatch(ctx, w, decided[i].ops)
		c.watchAll(ctx, w, decided[i].slots)
		if w.empty() {
			c.drop(w)
		}
	}
	c.record(ctx, now)
	c.reclaim(ctx, now)
	c.measure(len(work), time.Since(began))
}

// decide plans one workload and takes the decision over.
func (c *Controller) decide(w *workload, now time.Time) decision {
	w.mem.observe(&w.dw, w.seen, now)
	w.mem.durable, w.mem.readAt = !intent(w.pending) && !intent(w.inflight), c.readAt
	d := plan(w.dw, w.seen, w.mem, c.lim, now)
	c.tell(w, &d)
	w.dw, w.wake = d.desired, d.wake
	w.mem.removed = w.mem.removed || d.update.Removed
	if !w.wake.IsZero() && (c.wakeAt.IsZero() || w.wake.Before(c.wakeAt)) {
		c.wakeAt = w.wake
	}
	if u := d.update; u.Status != nil || intent(&u) {
		c.save(w, &u, now)
	}
	if !equalRoutes(w.routes, d.routes) {
		c.reroute(w, d.routes)
	}
	keep := map[string]bool{d.keep: true}
	for _, s := range d.slots {
		keep[s.name] = true
	}
	w.mem.forget(func(name string) bool {
		_, here := w.seen[name]
		return keep[name] || here
	})
	return d
}

// dispatch calls off what is not wanted any more and begins what is.
func (c *Controller) dispatch(ctx context.Context, w *workload, ops []op) {
	wanted := make(map[string]bool, len(ops))
	for _, o := range ops {
		wanted[o.key()] = true
	}
	for key, r := range w.ops {
		if !wanted[key] {
			r.callOff()
		}
	}
	for _, o := range ops {
		if w.ops[o.key()] != nil {
			continue
		}
		if o.kind == opRetire && c.changed {
			continue // requests may still be sent there
		}
		c.begin(ctx, w, o)
	}
}

func (c *Controller) begin(whole context.Context, w *workload, o op) {
	ctx, cancel := context.WithCancel(whole)
	r := &running{op: o, cancel: cancel}
	w.ops[o.key()] = r
	w.mem.running[o.key()] = o
	switch o.kind {
	case opStart, opRelease:
		c.touched[o.name] = busy
	case opPull, opBuild:
		w.mem.pull = progress{}
	}
	dw := w.dw
	c.log.Debug().Str("workload", w.id).Str("op", o.key()).Msg("begin")
	began := time.Now()
	c.wg.Go(func() {
		defer cancel()
		res := c.execute(ctx, r, &dw, func(percent int, detail string) {
			c.post(ctx, func() { c.progress(w, percent, detail) })
		})
		c.log.Debug().Err(res.err).Str("workload", w.id).Str("op", o.key()).Dur("took", time.Since(began)).Msg("end")
		c.post(whole, func() { c.finished(w, r, res) })
	})
}

// progress folds in how far a pull or build has come: at most twice a second.
func (c *Controller) progress(w *workload, percent int, detail string) {
	if now := c.clock.Now(); !w.mem.pull.seen || now.Sub(w.mem.pull.at) >= 500*time.Millisecond {
		w.mem.pull = progress{seen: true, percent: min(max(percent, 0), 100), detail: detail, at: now}
		c.touch(w)
	}
}

// finished folds in what an operation came to.
func (c *Controller) finished(w *workload, r *running, res result) {
	now, name := c.clock.Now(), r.op.name
	delete(w.ops, r.op.key())
	delete(w.mem.running, r.op.key())
	c.touch(w)
	if r.op.kind.ofContainer() {
		c.touched[name] = c.seq.Add(1)
	}
	if res.err != nil {
		c.failed(w, r, res.err, now)
		return
	}
	switch r.op.kind {
	case opPull:
		w.mem.images[name] = failure{done: true}
		w.mem.pull = progress{}
		c.resolved(w, name, model.Built{Image: res.image})
	case opBuild:
		w.mem.images[name], w.mem.made[name] = failure{done: true}, res.built.Detail
		delete(w.mem.lost, name)
		w.mem.pull = progress{}
		c.resolved(w, name, res.built)
	case opStart:
		w.mem.started(name, nil, now)
		w.seen[name] = res.container
	case opRelease:
		w.mem.started(name, nil, now)
		w.seen[name] = res.container
	case opRetire:
		if r.op.unwell {
			w.mem.replaced(name, now)
		}
		delete(w.seen, name)
		delete(w.mem.stops, name)
	case opLine:
		w.mem.lines[name] = res.line
	case opForget:
		w.mem.forgot = true
	}
}

func (c *Controller) failed(w *workload, r *running, err error, now time.Time) {
	w.mem.unsure = c.seq.Load() // what the operation left behind is not known
	c.wake(c.relist)
	if r.calledOff {
		return
	}
	c.log.Warn().Err(err).Str("workload", w.id).Str("app", w.dw.App.Name).Msg("an operation failed")
	switch name := r.op.name; r.op.kind {
	case opPull, opBuild:
		w.mem.pull = progress{}
		if r.op.kind == opPull && r.op.release.Build != nil && model.KindOf(err) == model.KindNotFound {
			w.mem.lost[name] = true // as after a restore from a backup, which holds no images
			delete(w.mem.images, name)
			return
		}
		w.mem.images[name] = w.mem.images[name].after(err, now)
	case opStart, opRelease:
		w.mem.started(name, err, now)
		switch is := r.op.release; {
		case model.KindOf(err) != model.KindNotFound:
		case is.Static != nil && is.Build != nil:
			w.mem.lost[is.ID] = true // its files are gone
		case !is.Hosted():
			w.mem.images[is.ID] = failure{} // it is missing
		}
	case opRetire:
		w.mem.stops[name] = w.mem.stops[name].after(err, now)
	case opForget:
		w.mem.stops[""] = w.mem.stops[""].after(err, now)
	}
}

// resolved fills in what a release's image or site turned out to be.
func (c *Controller) resolved(w *workload, releaseID string, is model.Built) {
	var known bool
	fill := func(r *model.Release) *model.Release {
		if r == nil || r.ID != releaseID {
			return r
		}
		next := *r
		if is.Static != nil {
			known = r.Static != nil && r.Static.Digest == is.Static.Digest
			next.Static = is.Static
			return &next
		}
		known = r.Image.Digest != "" && (r.Image.Config != nil || is.Image.Config == nil)
		next.Image.Digest, next.Image.Config = is.Image.Digest, is.Image.Config
		return &next
	}
	same := w.dw.Want == w.dw.Good
	w.dw.Want = fill(w.dw.Want)
	if same {
		w.dw.Good = w.dw.Want
	} else {
		w.dw.Good = fill(w.dw.Good)
	}
	if known {
		return
	}
	u := model.WorkloadUpdate{WorkloadID: w.id, ReleaseID: releaseID, Static: is.Static}
	if is.Static == nil {
		u.Image = &is.Image
	}
	c.save(w, &u, c.clock.Now())
}

// tell writes the log lines that a person looking at the box wants: how deploys went.
func (c *Controller) tell(w *workload, d *decision) {
	u := d.update
	switch {
	case u.Deploy != nil && u.Deploy.State.Final():
		e := c.log.Info()
		if u.Deploy.Error != nil {
			e = c.log.Warn().AnErr("reason", u.Deploy.Error)
		}
		e.Str("app", w.dw.App.Name).Str("env", w.dw.Env.Name).Str("deploy", u.Deploy.ID).Str("state", string(u.Deploy.State)).Msg("deploy ended")
	case u.Removed:
		c.log.Info().Str("app", w.dw.App.Name).Str("env", w.dw.Env.Name).Msg("workload removed")
	}
}

// touch has a workload planned in this pass.
func (c *Controller) touch(w *workload) { c.dirty[w.id] = w }

func (c *Controller) dirtyAll() {
	for _, w := range c.workloads {
		c.touch(w)
	}
}

// wake fires a coalescing signal.
func (c *Controller) wake(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// next returns when a pass is due though nothing happens, the zero time for never.
func (c *Controller) next() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if !c.haveState || !c.haveList {
		return at
	}
	if len(c.dirty) > 0 {
		return c.clock.Now()
	}
	sooner(c.wakeAt)
	if !c.recording {
		for _, w := range c.unsaved {
			if due := w.due(); due.Before(c.recordAt) {
				sooner(c.recordAt)
			} else {
				sooner(due)
			}
		}
	}
	sooner(c.retryAt)
	if c.reclaimWant && !c.reclaiming {
		sooner(c.reclaimedAt.Add(c.lim.Reclaim))
	}
	return at
}

// expire has the workloads planned whose time has come.
func (c *Controller) expire() {
	now := c.clock.Now()
	if c.wakeAt.IsZero() || c.wakeAt.After(now) {
		return
	}
	c.wakeAt = time.Time{}
	for _, w := range c.workloads {
		switch {
		case w.wake.IsZero():
		case !w.wake.After(now):
			c.touch(w)
		case c.wakeAt.IsZero() || w.wake.Before(c.wakeAt):
			c.wakeAt = w.wake
		}
	}
}

// sorted returns the ids of all workloads in order.
func (c *Controller) sorted() []string {
	if c.order == nil {
		c.order = make([]string, 0, len(c.workloads))
		for id := range c.workloads {
			c.order = append(c.order, id)
		}
		slices.Sort(c.order)
	}
	return c.order
}

func (c *Controller) workload(id string) *workload {
	w, ok := c.workloads[id]
	if !ok {
		w = newWorkload(id, c.cfg.LastLogLine != nil)
		c.workloads[id] = w
		c.order, c.moved = nil, true
	}
	return w
}

func (c *Controller) drop(w *workload) {
	for _, watch := range w.watches {
		watch.cancel()
	}
	delete(c.workloads, w.id)
	delete(c.dirty, w.id)
	delete(c.unsaved, w.id)
	c.order, c.moved = nil, true
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
