package control_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/cron"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// act is one thing that happens to a box with jobs.
type act struct {
	kind string
	n    int           // which job, or how many writes the daemon lives for
	d    time.Duration // how long
}

func anyActs(t *rapid.T) []act {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
		a := act{kind: rapid.SampledFrom([]string{"wait", "wait", "wait", "forward", "back", "kill", "kill", "down", "pause", "resume", "edit", "run", "cancel", "save", "restore"}).Draw(t, "kind")}
		a.n = rapid.IntRange(0, 9).Draw(t, "n")
		a.d = time.Duration(rapid.SampledFrom([]int64{1, 2, 7, 30, 61, 600, 3600, 5 * 3600, 40 * 86400, 800 * 86400}).Draw(t, "seconds")) * time.Second
		if a.kind == "wait" {
			a.d = min(a.d, 10*time.Minute)
		}
		return a
	}), 1, 25).Draw(t, "acts")
}

// TestEachDueTimeHasOneRun lets anything happen to the scheduler over a real store: kills between any two writes, clocks
// that jump, older stores put back, pauses and changes. In the end each due time has exactly one run, all are over, no
// attempt had two containers, and no job is silent.
func TestEachDueTimeHasOneRun(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		acts := anyActs(rt) // drawn here: rapid does not know of the bubble
		dir, err := os.MkdirTemp(quick(), "pbx-jobs-")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		var bad error
		synctest.Test(t, func(t *testing.T) {
			w := &jobWorld{ctx: t.Context(), dir: dir, containers: map[string]*jobContainer{}, starts: map[string]int{}}
			bad = w.play(acts)
		})
		if bad != nil {
			rt.Fatal(bad)
		}
	})
}

// quick is where the stores stand: in memory where that can be had, since every act waits for a disk otherwise.
func quick() string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		return "/dev/shm"
	}
	return ""
}

// jobWorld is a box: its store, its clock, its containers, and the daemon while it lives.
type jobWorld struct {
	ctx    context.Context
	dir    string
	store  *store.Store
	offset atomic.Int64 // of the clock
	writes atomic.Int64 // the daemon has left to live; negative: for ever
	end    func()       // kills the daemon

	mu         sync.Mutex
	containers map[string]*jobContainer
	starts     map[string]int
	bad        error
}

type jobContainer struct {
	job  string
	ends time.Time // by the time that passes
	code int
}

// Now and After are the world's clock.
func (w *jobWorld) Now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *jobWorld) After(d time.Duration) <-chan time.Time { return time.After(d) }

func (w *jobWorld) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bad == nil {
		w.bad = fmt.Errorf(format, args...)
	}
}

func specs() []model.JobSpec {
	cmd := []string{"x"}
	return []model.JobSpec{
		{Name: "minutely", Schedule: "* * * * *", Command: cmd, Retries: 1, Backoff: model.Duration(time.Second)},
		{Name: "seconds", Schedule: "*/7 * * * * *", Command: cmd, Concurrency: model.ConcurrencyReplace, Misfire: model.MisfireSkip},
		{Name: "every", Schedule: "@every 45s", Command: cmd, Concurrency: model.ConcurrencyAllow, Misfire: model.MisfireAll, MisfireMax: 4},
		{Name: "berlin", Schedule: "*/20 2,3 * * *", Timezone: "Europe/Berlin", Command: cmd, Misfire: model.MisfireAll, Jitter: model.Duration(20 * time.Second)},
		{Name: "path", Schedule: "*/2 * * * *", Path: "/", Retries: 2},
	}
}

func (w *jobWorld) file() string { return filepath.Join(w.dir, "pandabox.db") }

func (w *jobWorld) open() error {
	s, err := store.Open(w.file(), store.Options{Now: w.Now})
	w.store = s
	return err
}

func (w *jobWorld) play(acts []act) error {
	if err := w.open(); err != nil {
		return err
	}
	defer func() { _ = w.store.Close() }()
	if err := w.store.Update(w.ctx, w.seed); err != nil {
		return err
	}
	w.start(-1)
	for i, a := range acts {
		if err := w.do(a); err != nil {
			return fmt.Errorf("act %d, %+v: %w", i, a, err)
		}
	}
	return w.settle()
}

func (w *jobWorld) seed(tx *store.Tx) error {
	target := model.Target{ReleaseID: "release", Generation: 1}
	wl := model.Workload{ID: "w", OrgID: "org", ProjectID: "p", AppID: "a", EnvID: "e", Want: target, Good: target}
	err := errors.Join(
		tx.PutProject(model.Project{ID: "p", OrgID: "org", Name: "shop"}), tx.PutEnvironment(model.Environment{ID: "e", ProjectID: "p", Name: "production"}),
		tx.PutApp(model.App{ID: "a", OrgID: "org", ProjectID: "p", Name: "shop"}), tx.PutRelease(model.Release{ID: "release", WorkloadID: "w", Number: 1}), tx.PutWorkload(wl),
	)
	for _, s := range specs() {
		s.KeepRuns, s.KeepFor = model.MaxKeepRuns, model.MaxKeepFor
		err = errors.Join(err, tx.SetJob(wl, s, model.JobAdded))
	}
	return err
}

// start begins a life of the daemon, of so many writes.
func (w *jobWorld) start(writes int) {
	ctx, cancel := context.WithCancel(w.ctx)
	w.writes.Store(int64(writes))
	b := &mortal{Store: w.store, w: w, die: cancel}
	s, err := cron.New(cron.Config{Book: b, Runner: w, Clock: w, Slots: 3, Calls: 2})
	if err != nil {
		w.fail("%w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			w.fail("the scheduler ended: %w", err)
		}
	}()
	w.end = func() { cancel(); <-done }
}

func (w *jobWorld) do(a act) error {
	switch a.kind {
	case "wait":
		time.Sleep(a.d)
	case "forward":
		w.offset.Add(int64(a.d))
		time.Sleep(3 * time.Second)
	case "back":
		w.offset.Add(-int64(a.d))
		time.Sleep(3 * time.Second)
	case "kill": // somewhere between two writes
		w.end()
		w.start(a.n)
		time.Sleep(min(a.d, 5*time.Minute))
		w.end()
		w.start(-1)
		time.Sleep(2 * time.Second)
	case "down":
		w.end()
		w.offset.Add(int64(a.d))
		w.start(-1)
		time.Sleep(2 * time.Second)
	case "save":
		return w.copy(w.file() + ".saved")
	case "restore":
		if _, err := os.Stat(w.file() + ".saved"); err != nil {
			return nil
		}
		w.end()
		if err := errors.Join(w.store.Close(), os.Remove(w.file()), os.Link(w.file()+".saved", w.file()), os.Remove(w.file()+".saved"), w.open()); err != nil {
			return err
		}
		w.mu.Lock()
		clear(w.starts) // the older store knows nothing of what ended since
		w.mu.Unlock()
		w.start(-1)
		time.Sleep(2 * time.Second)
	default:
		return w.store.Update(w.ctx, func(tx *store.Tx) error { return w.change(tx, a) })
	}
	synctest.Wait()
	return w.bad
}

func (w *jobWorld) copy(to string) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(w.store.Snapshot(w.ctx, f, nil), f.Close())
}

// change is what people do.
func (w *jobWorld) change(tx *store.Tx, a act) error {
	jobs, err := tx.Jobs("w")
	if err != nil {
		return err
	}
	j := jobs[a.n%len(jobs)]
	switch a.kind {
	case "pause":
		j.Paused = true
		return tx.PutJob(j)
	case "resume":
		if !j.Paused {
			return nil
		}
		j.Paused, j.Since = false, tx.Now().Truncate(time.Second)
		return tx.PutJob(j)
	case "edit":
		wl, err := tx.Workload("w")
		j.Spec.Schedule = []string{"*/3 * * * *", "@every 100s", "30 */5 * * * *"}[a.n%3]
		return errors.Join(err, tx.SetJob(wl, j.Spec, model.JobAdded))
	case "run":
		_, err := tx.AddRun(&j, model.JobRun{By: "me", StartAt: tx.Now(), State: model.RunPending})
		return err
	case "cancel":
		open, err := tx.OpenRuns(j.ID)
		for _, r := range open {
			_, eerr := tx.EndRun(r, "canceled")
			err = errors.Join(err, eerr)
		}
		return err
	}
	return nil
}

// settle lets everything come to its end and looks at what is recorded.
func (w *jobWorld) settle() error {
	time.Sleep(time.Minute)
	synctest.Wait()
	if err := w.each(w.awake); err != nil {
		return err
	}
	if err := w.store.Update(w.ctx, func(tx *store.Tx) error {
		jobs, err := tx.Jobs("w")
		for _, j := range jobs {
			j.Paused = true
			err = errors.Join(err, tx.PutJob(j))
		}
		return err
	}); err != nil {
		return err
	}
	time.Sleep(4 * time.Hour)
	w.end()
	w.mu.Lock()
	left := len(w.containers)
	w.mu.Unlock()
	if left > 0 {
		return fmt.Errorf("%d containers are left", left)
	}
	return errors.Join(w.bad, w.each(w.complete))
}

func (w *jobWorld) each(look func(model.Job, cron.Schedule, []model.JobRun) error) error {
	return w.store.View(w.ctx, func(tx *store.Tx) error {
		jobs, err := tx.Jobs("w")
		if err != nil {
			return err
		}
		for _, j := range jobs {
			s, err := cron.Parse(j.Spec.Schedule, j.Spec.Timezone)
			if err != nil {
				return err
			}
			runs, _, err := tx.JobRuns(j.ID, "", 0)
			if err != nil {
				return err
			}
			if err := look(j, s, runs); err != nil {
				return fmt.Errorf("%s (%s): %w", j.Spec.Name, j.Spec.Schedule, err)
			}
		}
		return nil
	})
}

// awake shows that a job is not silent: what is due next is not further off than its schedule says.
func (w *jobWorld) awake(j model.Job, s cron.Schedule, _ []model.JobRun) error {
	now := w.Now()
	if next := cron.NextDue(s, j); !j.Paused && next.After(s.Next(now.Add(cron.Grace+time.Second), j.Since)) {
		return fmt.Errorf("it is %s, and it is due at %s only", now, next)
	}
	if next := cron.NextDue(s, j); !j.Paused && next.Before(now.Add(-2*time.Second)) {
		return fmt.Errorf("it is %s, and what was due at %s is not decided on", now, next)
	}
	return nil
}

// complete shows that each due time has exactly one run, and that every run is over.
func (w *jobWorld) complete(j model.Job, s cron.Schedule, runs []model.JobRun) error {
	at := map[int64]int{}
	var spans []model.JobRun
	for _, r := range runs {
		if !r.State.Final() || r.FinishedAt.IsZero() {
			return fmt.Errorf("run %d is %s", r.Number, r.State)
		}
		switch {
		case !r.Until.IsZero():
			spans = append(spans, r)
		case !r.Due.IsZero():
			at[r.Due.Unix()]++
		}
	}
	n := 0
	for due := s.Next(j.Since, j.Since); !due.After(j.Cursor) && !due.IsZero() && n < 50_000; due = s.Next(due, j.Since) {
		n++
		has := at[due.Unix()]
		for _, r := range spans {
			if has == 0 && !due.Before(r.Due) && !due.After(r.Until) {
				has++
			}
		}
		if has != 1 {
			return fmt.Errorf("%s has %d runs", due, has)
		}
	}
	return nil
}

// Attempt implements cron.Runner: how long it takes and how it ends depends on its name alone.
func (w *jobWorld) Attempt(ctx context.Context, j model.Job, r model.JobRun, adopt bool) (model.JobOutcome, error) {
	if r.Container == "" {
		if adopt {
			return model.JobOutcome{Why: "restarted in the middle of it"}, nil
		}
		return model.JobOutcome{Succeeded: r.Number%3 > 0}, nil
	}
	w.mu.Lock()
	c := w.containers[r.Container]
	if c == nil && (ctx.Err() != nil || adopt && w.Now().Sub(r.StartedAt) > time.Duration(model.DefaultJobTimeout)) { // as JobRunner
		w.mu.Unlock()
		return model.JobOutcome{Why: "gone"}, ctx.Err()
	}
	if c == nil {
		h := fnv.New32a()
		_, _ = h.Write([]byte(r.Container))
		c = &jobContainer{job: j.ID, ends: time.Now().Add(time.Duration(h.Sum32()%12_000) * time.Millisecond), code: int(h.Sum32() / 7 % 3 % 2)}
		for name, o := range w.containers {
			if o.job == j.ID && o.ends.After(time.Now()) && j.Spec.Concurrency != model.ConcurrencyAllow && w.bad == nil {
				w.bad = fmt.Errorf("%s starts while %s of the same job runs", r.Container, name)
			}
		}
		w.containers[r.Container] = c
		if w.starts[r.Container]++; w.starts[r.Container] > 1 && w.bad == nil {
			w.bad = fmt.Errorf("%s was started twice", r.Container)
		}
	} else if !adopt && w.bad == nil {
		w.bad = fmt.Errorf("%s is there before it begins", r.Container)
	}
	w.mu.Unlock()
	select {
	case <-time.After(time.Until(c.ends)):
		return model.JobOutcome{Succeeded: c.code == 0, ExitCode: &c.code, Why: fmt.Sprintf("exited with code %d", c.code)}, nil
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, cron.ErrEnd) && !errors.Is(cause, cron.ErrTimeout) {
			return model.JobOutcome{}, ctx.Err()
		}
		return model.JobOutcome{Why: "ended"}, w.Clear(ctx, r)
	}
}

// Clear implements cron.Runner.
func (w *jobWorld) Clear(_ context.Context, r model.JobRun) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.containers, r.Container)
	return nil
}

// Sweep implements cron.Runner.
func (w *jobWorld) Sweep(_ context.Context, keep func(string) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.containers {
		if !keep(name) {
			delete(w.containers, name)
		}
	}
	return nil
}

// mortal is a store whose daemon dies when it would write once more than it may.
type mortal struct {
	*store.Store
	w   *jobWorld
	die func()
}

var errDead = errors.New("the daemon is dead")

func (m *mortal) may() error {
	if n := m.w.writes.Load(); n == 0 {
		m.die()
		return errDead
	} else if n > 0 {
		m.w.writes.Add(-1)
	}
	return nil
}

// DecideJobs implements cron.Book.
func (m *mortal) DecideJobs(ctx context.Context, ids []string, decide func(model.JobState, func(time.Time) bool) model.JobDecision) ([]model.JobState, error) {
	if err := m.may(); err != nil {
		return nil, err
	}
	return m.Store.DecideJobs(ctx, ids, decide)
}

// BeginRuns implements cron.Book.
func (m *mortal) BeginRuns(ctx context.Context, runs []model.JobRun, now time.Time) ([]model.JobRun, error) {
	if err := m.may(); err != nil {
		return nil, err
	}
	return m.Store.BeginRuns(ctx, runs, now)
}

// ChangeRun implements cron.Book.
func (m *mortal) ChangeRun(ctx context.Context, job string, n int, change func(*model.JobRun)) (model.JobRun, bool, error) {
	if err := m.may(); err != nil {
		return model.JobRun{}, false, err
	}
	return m.Store.ChangeRun(ctx, job, n, change)
}
