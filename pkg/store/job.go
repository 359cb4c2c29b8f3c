package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func runKey(jobID string, n int) string { return join(jobID, number(uint64(n))) } //nolint:gosec // run numbers are positive

func dueKey(due time.Time) string { return number(uint64(max(due.Unix(), 0))) } //nolint:gosec // not negative

// Job returns a job by its id.
func (tx *Tx) Job(id string) (model.Job, error) { return jobs().get(tx, id) }

// JobNamed returns a workload's job by its name. One that is deleted has none.
func (tx *Tx) JobNamed(workloadID, name string) (model.Job, error) {
	return jobs().by(tx, "name", join(workloadID, name))
}

// Jobs returns a workload's jobs by name, those that are deleted left out.
func (tx *Tx) Jobs(workloadID string) ([]model.Job, error) {
	out, _, err := jobs().list(tx, scan{index: "name", prefix: workloadID + "/"})
	return out, err
}

// PutJob writes a job; the scheduler looks at it again. A name that was deleted is taken up with its history.
func (tx *Tx) PutJob(j model.Job) error {
	tx.touchJob(j.ID)
	return jobs().put(tx, j)
}

// DeletedJob returns the job of that name that was deleted and has runs still, ErrNotFound for none.
func (tx *Tx) DeletedJob(workloadID, name string) (model.Job, error) {
	all, _, err := jobs().list(tx, scan{index: "workload", prefix: workloadID + "/"})
	if err != nil {
		return model.Job{}, err
	}
	for _, j := range all {
		if j.Deleted && j.Spec.Name == name {
			return j, nil
		}
	}
	return model.Job{}, ErrNotFound
}

// JobRun returns a job's run by its number.
func (tx *Tx) JobRun(jobID string, n int) (model.JobRun, error) {
	return jobRuns().get(tx, runKey(jobID, n))
}

// JobRuns returns a job's runs, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) JobRuns(jobID, after string, limit int) ([]model.JobRun, string, error) {
	return jobRuns().list(tx, scan{prefix: jobID + "/", after: after, limit: limit, reverse: true})
}

// OpenRuns returns a job's runs that are not final, oldest first.
func (tx *Tx) OpenRuns(jobID string) ([]model.JobRun, error) {
	out, _, err := jobRuns().list(tx, scan{index: "open", prefix: jobID + "/"})
	return out, err
}

// AddRun records a run under the job's next number and returns it. ErrTaken when its due time has a run already.
func (tx *Tx) AddRun(j *model.Job, r model.JobRun) (model.JobRun, error) {
	j.LastRun++
	r.ID, r.OrgID, r.WorkloadID, r.JobID, r.Job = model.NewID("run", tx.Now()), j.OrgID, j.WorkloadID, j.ID, j.Spec.Name
	r.Number, r.CreatedAt = j.LastRun, tx.Now()
	if r.State.Final() && r.FinishedAt.IsZero() {
		r.FinishedAt = tx.Now()
	}
	if err := jobRuns().put(tx, r); err != nil {
		return r, err
	}
	return r, tx.PutJob(*j)
}

// EndRun asks for the end of a run that is not final: one that is pending is canceled at once.
func (tx *Tx) EndRun(r model.JobRun, why string) (model.JobRun, error) {
	if r.State.Final() {
		return r, nil
	}
	if r.Ending = why; r.State == model.RunPending {
		r.State, r.Why, r.FinishedAt = model.RunCanceled, why, tx.Now()
	}
	tx.touchJob(r.JobID)
	return r, jobRuns().put(tx, r)
}

// trimRuns forgets a job's runs that its retention no longer keeps, and the job itself when it is deleted and none is
// left. Runs of a time that has not come are kept: they say that it need not come again.
func (tx *Tx) trimRuns(j model.Job) error {
	keep, age := DefaultKeep(j.Spec)
	now, left := tx.Now(), false
	var over []string
	err := jobRuns().walk(tx, scan{prefix: j.ID + "/"}, func(key string, raw []byte) (bool, error) {
		var r model.JobRun
		if err := json.Unmarshal(raw, &r); err != nil {
			return false, fmt.Errorf("decoding the run %q: %w", key, err)
		}
		switch {
		case !r.State.Final() || r.Due.After(now):
			left = true
			return true, nil
		case j.LastRun-r.Number < keep && now.Sub(r.FinishedAt) < age:
			left = true
			return false, nil
		}
		over = append(over, key)
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, key := range over {
		if err := jobRuns().delete(tx, key); err != nil {
			return err
		}
	}
	if j.Deleted && !left {
		return jobs().delete(tx, j.ID)
	}
	return nil
}

// DefaultKeep returns how many ended runs of a job are kept, and for how long.
func DefaultKeep(s model.JobSpec) (runs int, age time.Duration) {
	if runs = s.KeepRuns; runs == 0 {
		runs = model.DefaultKeepRuns
	}
	return runs, s.KeepFor.Or(model.DefaultKeepFor)
}

// forgetJobs deletes a workload's jobs with their runs.
func (tx *Tx) forgetJobs(workloadID string) error {
	all, _, err := jobs().list(tx, scan{index: "workload", prefix: workloadID + "/"})
	if err != nil {
		return err
	}
	for _, j := range all {
		if err := deleteAll(tx, jobRuns(), scan{prefix: j.ID + "/"}); err != nil {
			return err
		}
		if err := jobs().delete(tx, j.ID); err != nil {
			return err
		}
		tx.touchJob(j.ID)
	}
	return nil
}

// tellRun emits the event of a run that somebody should hear of.
func (tx *Tx) tellRun(r model.JobRun) error {
	switch r.State {
	case model.RunFailed, model.RunTimedOut:
	default:
		return nil
	}
	return tx.tellJob(r.WorkloadID, r.OrgID, string(r.State), r.Job, "run "+strconv.Itoa(r.Number)+": "+r.Why)
}

// tellJob emits an event of kind job: "nightly of shop in production: …".
func (tx *Tx) tellJob(workloadID, orgID, state, job, what string) error {
	w, err := tx.Workload(workloadID)
	if errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	a, err := tx.App(w.AppID)
	if err != nil {
		return err
	}
	e, err := tx.Environment(w.EnvID)
	if err != nil {
		return err
	}
	return tx.Emit(model.Event{Kind: "job", OrgID: orgID, WorkloadID: workloadID, State: state, Detail: job + " of " + a.Name + " in " + e.Name + ": " + what})
}
