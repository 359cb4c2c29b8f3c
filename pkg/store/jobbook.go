package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// JobIDs returns the ids of all jobs, deleted ones too.
func (s *Store) JobIDs(ctx context.Context) (ids []string, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		for k := range keys(tx.bucket("jobs"), scan{}) {
			ids = append(ids, string(k))
		}
		return nil
	})
	return ids, err
}

// DecideJobs shows each of some jobs to decide, with whether a due time has its run already, and writes what it answers
// for all of them in one transaction. It returns the jobs as they are then; one that is gone is Deleted and has no name.
func (s *Store) DecideJobs(ctx context.Context, ids []string, decide func(j model.JobState, known func(due time.Time) bool) model.JobDecision) ([]model.JobState, error) {
	var out []model.JobState
	err := s.Update(ctx, func(tx *Tx) error {
		out = make([]model.JobState, 0, len(ids))
		for _, id := range ids {
			st, err := tx.decideJob(id, decide)
			if err != nil {
				return fmt.Errorf("deciding on %s: %w", id, err)
			}
			out = append(out, st)
		}
		tx.jobs = nil // the caller knows
		return nil
	})
	return out, err
}

func (tx *Tx) decideJob(id string, decide func(model.JobState, func(time.Time) bool) model.JobDecision) (st model.JobState, err error) {
	if st.Job, err = tx.Job(id); errors.Is(err, ErrNotFound) {
		return model.JobState{Job: model.Job{ID: id, Deleted: true}}, nil
	} else if err != nil {
		return st, err
	}
	if st.Open, err = tx.OpenRuns(id); err != nil {
		return st, err
	}
	d := decide(st, func(due time.Time) bool {
		return tx.bucket("runs.due").Get([]byte(join(id, dueKey(due)))) != nil
	})
	if d.TakeBack {
		if err := tx.takeBack(st.Job, d.Cursor); err != nil {
			return st, err
		}
	}
	for i, r := range st.Open {
		if why, ok := d.Ending[r.Number]; ok && r.Ending == "" {
			if st.Open[i], err = tx.EndRun(r, why); err != nil {
				return st, err
			}
		}
	}
	for _, r := range d.Runs {
		is, err := tx.AddRun(&st.Job, r)
		if errors.Is(err, ErrTaken) {
			st.Job.LastRun--
			continue
		} else if err != nil {
			return st, err
		}
		st.Open = append(st.Open, is)
	}
	st.Open = slices.DeleteFunc(st.Open, func(r model.JobRun) bool { return r.State.Final() })
	if !d.Cursor.IsZero() {
		st.Job.Cursor = d.Cursor
		if d.TakeBack && st.Job.Since.After(d.Cursor) {
			st.Job.Since = d.Cursor
		}
		if err := tx.PutJob(st.Job); err != nil {
			return st, err
		}
	}
	if d.Told != "" {
		if err := tx.tellJob(st.Job.WorkloadID, st.Job.OrgID, string(model.RunMissed), st.Job.Spec.Name, d.Told); err != nil {
			return st, err
		}
	}
	return st, tx.trimRuns(st.Job)
}

// takeBack forgets the runs that were only skipped or missed at due times behind now: the clock went back, and they
// are yet to come. Those that ran stay, so that none runs twice.
func (tx *Tx) takeBack(j model.Job, now time.Time) error {
	at := scan{index: "due", prefix: j.ID + "/", after: dueKey(now)}
	ahead, _, err := jobRuns().list(tx, at)
	if err != nil {
		return err
	}
	for _, r := range ahead {
		if r.State == model.RunSkipped || r.State == model.RunMissed {
			if err := jobRuns().delete(tx, runKey(r.JobID, r.Number)); err != nil {
				return err
			}
		}
	}
	last, _, err := jobRuns().list(tx, scan{index: "due", prefix: j.ID + "/", after: dueKey(now.Add(time.Second)), limit: 1, reverse: true})
	if err != nil || len(last) == 0 || !last[0].Until.After(now) {
		return err
	}
	last[0].Until, last[0].Count = now, 0
	return jobRuns().put(tx, last[0])
}

// BeginRuns begins the next attempt of pending runs in the release that serves, all in one transaction, and returns
// them as they are then: running, or final where there is nothing to run. One that is gone is left out.
func (s *Store) BeginRuns(ctx context.Context, runs []model.JobRun, now time.Time) ([]model.JobRun, error) {
	var out []model.JobRun
	err := s.Update(ctx, func(tx *Tx) error {
		out = make([]model.JobRun, 0, len(runs))
		for _, r := range runs {
			is, err := tx.beginRun(r.JobID, r.Number, now)
			if errors.Is(err, ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			out = append(out, is)
		}
		tx.jobs = nil
		return nil
	})
	return out, err
}

func (tx *Tx) beginRun(jobID string, n int, now time.Time) (model.JobRun, error) {
	r, err := tx.JobRun(jobID, n)
	if err != nil || r.State != model.RunPending {
		return r, err
	}
	j, err := tx.Job(jobID)
	if err != nil {
		return r, err
	}
	w, err := tx.Workload(r.WorkloadID)
	if err != nil {
		return r, err
	}
	none := func(why string) (model.JobRun, error) {
		r.State, r.Why, r.FinishedAt = model.RunSkipped, why, now
		return r, jobRuns().put(tx, r)
	}
	if w.Deleting || j.Deleted {
		return none("the job is there no more")
	}
	if w.Good.IsZero() {
		return none("nothing is deployed yet")
	}
	release, err := tx.Release(w.Good.ReleaseID)
	if err != nil {
		return r, err
	}
	r.State, r.Release, r.StartedAt, r.Why, r.ExitCode = model.RunRunning, release.Number, now, "", nil
	r.Attempt++
	if len(j.Spec.Command) > 0 {
		r.Container = r.ContainerOf(r.Attempt)
	}
	return r, jobRuns().put(tx, r)
}

// ChangeRun lets change work on a run and writes it, unless it is final already or gone; then it returns false.
func (s *Store) ChangeRun(ctx context.Context, jobID string, n int, change func(*model.JobRun)) (r model.JobRun, changed bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		if r, err = tx.JobRun(jobID, n); errors.Is(err, ErrNotFound) {
			return nil
		} else if err != nil || r.State.Final() {
			return err
		}
		change(&r)
		changed = true
		if err := jobRuns().put(tx, r); err != nil || !r.State.Final() {
			return err
		}
		if err := tx.tellRun(r); err != nil {
			return err
		}
		j, err := tx.Job(jobID)
		if err != nil {
			return err
		}
		return tx.trimRuns(j)
	})
	return r, changed && err == nil, err
}

// jobChanges gathers the jobs that somebody other than the scheduler changed.
type jobChanges struct {
	mu   sync.Mutex
	ids  map[string]struct{}
	told chan struct{}
}

// JobChanges returns a channel that receives after jobs were changed by somebody other than DecideJobs and BeginRuns,
// and a function that returns which those are, each once. There is one such reader.
func (s *Store) JobChanges() (<-chan struct{}, func() []string) {
	c := &s.jobs
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.ids = make(chan struct{}, 1), map[string]struct{}{}
	return c.told, func() []string {
		c.mu.Lock()
		defer c.mu.Unlock()
		out := sortedIDs(c.ids)
		clear(c.ids)
		return out
	}
}

func sortedIDs(set map[string]struct{}) []string {
	out := make([]string, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (c *jobChanges) add(ids map[string]struct{}) {
	if len(ids) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil { // nobody reads yet: it will begin with all of them
		return
	}
	for id := range ids {
		c.ids[id] = struct{}{}
	}
	select {
	case c.told <- struct{}{}:
	default:
	}
}

func (tx *Tx) touchJob(id string) {
	if tx.jobs == nil {
		tx.jobs = map[string]struct{}{}
	}
	tx.jobs[id] = struct{}{}
}
