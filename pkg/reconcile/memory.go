package reconcile

import (
	"maps"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Numbers of health checks and of crashes.
const (
	stableFor       = 3 * time.Second // a process without requests is healthy when it has run this long
	failuresToEject = 3               // probes in a row until a healthy replica is unhealthy
	unhealthyFor    = time.Minute     // an unhealthy replica is started afresh after this long
	backoffFirst    = time.Second     // before the next start of what crashed soon after it started
	backoffMax      = 5 * time.Minute
	forgiveAfter    = 2 * time.Minute  // what ran this long before it crashed starts again at once
	unknownAfter    = 30 * time.Second // what ran this long and ended while nobody watched did not crash
	crashesToFail   = 3                // of one replica until a deploy fails
	errorsToFail    = 3                // of one operation until a deploy fails
)

// memory is what is remembered of a workload between passes. Folding what happens into it is pure: nothing here reads
// a clock or does anything.
type memory struct {
	known   bool                     // the first observation has been folded in
	health  map[string]health        // by container, of running ones
	crashes map[string]crash         // by container name, also of those not running now
	images  map[string]failure       // by release id, of images that had to be asked for
	stops   map[string]failure       // by container: removals that failed
	graces  map[string]time.Duration // by container: from SIGTERM to SIGKILL, where it is not the default
	lines   map[string]string        // by container: its last log line, read because a deploy is about to fail
	running map[string]op            // operations under way, by key
	pull    progress                 // of the pull or build under way
	lost    map[string]bool          // by release id: built once, and not on the box any more
	made    map[string]string        // by release id: how it was built, for people
	forgot  bool                     // volumes and logs of a deleted workload are gone

	unsure   uint64    // sequence number a listing has to have for the containers seen to be all there are; 0: they are
	removed  bool      // that nothing is left of a deleted workload has been decided
	readAt   time.Time // when the newest snapshot of intent was read
	durable  bool      // what was decided about targets and deploys so far is stored
	readLogs bool      // there is a way to read a last log line
}

// health is how a running replica answered.
type health struct {
	state    healthState
	run      run
	failures int       // in a row
	since    time.Time // of state
	detail   string    // of the last answer
}

type healthState int

const (
	starting healthState = iota // never answered
	presumed                    // found running when the daemon started, not yet asked
	healthy
	unhealthy // answered once, no more
)

// run tells one run of a container from the next of the same name.
type run struct {
	pid     int
	started int64 // Unix nanoseconds, 0 when there is a pid
}

func runOf(c model.Container) run {
	if c.Pid != 0 {
		return run{pid: c.Pid}
	}
	return run{started: c.StartedAt.UnixNano()}
}

// crash is the history of one replica.
type crash struct {
	count    int // in a row, each soon after its start
	restarts int // ever
	exit     *model.Exit
	why      string // in place of exit: it was started afresh because it did not answer
	of       int64  // when the container that ended was made, Unix nanoseconds
	at       time.Time
	next     time.Time // no start before
	start    failure   // of starting it at all
}

// failure is an operation that did not succeed; the zero value is one that did.
type failure struct {
	err   error
	count int       // in a row
	next  time.Time // no other attempt before
	done  bool      // it succeeded
}

// progress is how far a pull or a build has come.
type progress struct {
	seen    bool
	percent int
	at      time.Time
	detail  string
}

func newMemory() *memory {
	return &memory{
		health: map[string]health{}, crashes: map[string]crash{}, images: map[string]failure{}, stops: map[string]failure{},
		graces: map[string]time.Duration{}, lines: map[string]string{}, running: map[string]op{}, durable: true,
		lost: map[string]bool{}, made: map[string]string{},
	}
}

// observe folds in the containers there are now.
func (m *memory) observe(dw *model.DesiredWorkload, seen map[string]model.Container, now time.Time) {
	if !m.known {
		m.recall(dw.Status)
	}
	for name, c := range seen {
		if c.Replica.Role != model.RoleReplica {
			continue
		}
		h, probed := m.health[name]
		switch {
		case c.State == model.ContainerRunning && (!probed || h.run != runOf(c)):
			h = health{run: runOf(c), since: now}
			if !m.known && c.Replica.Target() == dw.Workload.Good {
				h.state = presumed
			}
			m.health[name] = h
			if process, ok := processOf(dw, c.Replica); ok && process.Grace != 0 {
				m.graces[name] = process.Grace.Std()
			}
		case c.State == model.ContainerExited:
			delete(m.health, name)
			m.exited(c, now)
		}
	}
	for name := range m.health {
		if c, ok := seen[name]; !ok || c.State != model.ContainerRunning {
			delete(m.health, name)
		}
	}
	m.known = true
}

// recall takes up the crash history that was written before the daemon ended.
func (m *memory) recall(status model.WorkloadStatus) {
	for _, r := range status.Replicas {
		if r.Restarts == 0 && r.LastExit == nil {
			continue
		}
		c := crash{restarts: r.Restarts, exit: r.LastExit, next: r.NextStart}
		if r.State == model.ReplicaBackoff {
			c.count = 1
			if r.LastExit != nil && r.NextStart.After(r.LastExit.At) {
				for ; c.count < 20 && backoff(c.count) < r.NextStart.Sub(r.LastExit.At); c.count++ {
				}
			}
		}
		if r.LastExit != nil {
			c.at = r.LastExit.At
		}
		m.crashes[r.Name] = c
	}
}

// exited counts a crash, once.
func (m *memory) exited(c model.Container, now time.Time) {
	if _, stopping := m.running[opRetire.key(c.Name)]; stopping {
		return // by us
	}
	was, made := m.crashes[c.Name], c.CreatedAt.UnixNano()
	if was.of == made {
		return
	}
	if was.exit != nil && !was.exit.At.IsZero() && was.exit.At.Equal(c.Exit.At) {
		was.of = made
		m.crashes[c.Name] = was
		return // counted before the daemon ended
	}
	exit := c.Exit
	at, began := now, c.StartedAt
	if exit.Known && !exit.At.IsZero() && exit.At.Before(now) {
		at = exit.At
	}
	if began.IsZero() {
		began = c.CreatedAt
	}
	is := crash{count: was.count + 1, restarts: was.restarts + 1, exit: &exit, of: made, at: at}
	switch ran := at.Sub(began); {
	case ran >= forgiveAfter:
		is.count, is.next = 0, at
	case !exit.Known && ran >= unknownAfter:
		is.count, is.next = was.count, at
	default:
		is.next = at.Add(backoff(is.count))
	}
	m.crashes[c.Name] = is
}

// probed folds in an answer, and tells whether a replica's state is another one now.
func (m *memory) probed(name string, of run, detail string, err error, now time.Time) bool {
	h, ok := m.health[name]
	if !ok || h.run != of {
		return false
	}
	was := h.state
	if err == nil {
		h.state, h.failures, h.detail = healthy, 0, detail
	} else {
		h.failures++
		h.detail = err.Error()
		switch {
		case h.failures < failuresToEject:
		case h.state == presumed:
			h.state = starting
		case h.state == healthy:
			h.state = unhealthy
		}
	}
	if h.state != was {
		h.since = now
	}
	m.health[name] = h
	return h.state != was || h.state == starting && h.failures == 1 // its grace counts from now on
}

// started folds in the outcome of starting a replica.
func (m *memory) started(name string, err error, now time.Time) {
	c := m.crashes[name]
	c.start = c.start.after(err, now)
	m.crashes[name] = c
}

// replaced notes that a replica was stopped because it did not answer.
func (m *memory) replaced(name string, now time.Time) {
	c := m.crashes[name]
	h := m.health[name]
	m.crashes[name] = crash{count: c.count + 1, restarts: c.restarts + 1, why: h.detail, at: now, next: now}
}

// forget drops the history of replicas that neither run nor should.
func (m *memory) forget(keep func(container string) bool) {
	prune(m.crashes, keep)
	prune(m.lines, keep)
	prune(m.stops, keep)
	prune(m.graces, keep)
}

func prune[V any](of map[string]V, keep func(string) bool) {
	maps.DeleteFunc(of, func(name string, _ V) bool { return !keep(name) })
}

func (f failure) after(err error, now time.Time) failure {
	if err == nil {
		return failure{done: true}
	}
	return failure{err: err, count: f.count + 1, next: now.Add(backoff(f.count + 1))}
}

// fatal tells whether the same attempt would fail again.
func (f failure) fatal() bool {
	switch model.KindOf(f.err) {
	case model.KindInvalid, model.KindNotFound, model.KindForbidden, model.KindUnauthenticated, model.KindTooLarge, model.KindNoSpace, model.KindConflict:
		return true
	}
	return false
}

// backoff returns how long to wait before the next attempt after n that failed: 1 s, 2 s, 4 s … 5 min.
func backoff(n int) time.Duration {
	d := backoffFirst
	for i := 1; i < n && d < backoffMax; i++ {
		d *= 2
	}
	return min(d, backoffMax)
}
