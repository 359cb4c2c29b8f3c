package store

import (
	"errors"
	"reflect"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// jobsInForce makes the jobs of a release those of the workload: the release became the good one. Jobs that were added
// by hand stay, also where the release has one of that name. One that goes keeps its history, and has it again when a
// roll-back brings it back.
func (tx *Tx) jobsInForce(w model.Workload, r model.Release) error {
	have, err := tx.Jobs(w.ID)
	if err != nil {
		return err
	}
	named := map[string]model.Job{}
	for _, j := range have {
		named[j.Spec.Name] = j
	}
	for _, spec := range r.Jobs {
		j, there := named[spec.Name]
		delete(named, spec.Name)
		if there && j.Source == model.JobAdded {
			continue
		}
		if err := tx.SetJob(w, spec, model.JobOfRelease); err != nil {
			return err
		}
	}
	for _, j := range named {
		if j.Source == model.JobOfRelease {
			if err := tx.DeleteJob(j, "the job is not in the release that serves", false); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetJob makes a workload's job of that name, or changes it. Another schedule counts from this moment on.
func (tx *Tx) SetJob(w model.Workload, spec model.JobSpec, source model.JobSource) error {
	now := tx.Now().Truncate(time.Second)
	j, err := tx.JobNamed(w.ID, spec.Name)
	switch {
	case errors.Is(err, ErrNotFound):
		if j, err = tx.DeletedJob(w.ID, spec.Name); errors.Is(err, ErrNotFound) {
			j = model.Job{ID: model.NewID("job", tx.Now()), OrgID: w.OrgID, WorkloadID: w.ID, CreatedAt: tx.Now()}
		} else if err != nil {
			return err
		}
		j.Deleted, j.Paused, j.Since = false, false, now
	case err != nil:
		return err
	case reflect.DeepEqual(j.Spec, spec) && j.Source == source:
		return nil
	case j.Spec.Schedule != spec.Schedule || j.Spec.Timezone != spec.Timezone:
		j.Since = now
	}
	j.Spec, j.Source = spec, source
	return tx.PutJob(j)
}

// DeleteJob ends a job; its runs stay until retention ends them. Pending ones are canceled, running ones too where all
// says so.
func (tx *Tx) DeleteJob(j model.Job, why string, all bool) error {
	open, err := tx.OpenRuns(j.ID)
	if err != nil {
		return err
	}
	for _, r := range open {
		if all || r.State == model.RunPending {
			if _, err := tx.EndRun(r, why); err != nil {
				return err
			}
		}
	}
	j.Deleted = true
	return tx.PutJob(j)
}
