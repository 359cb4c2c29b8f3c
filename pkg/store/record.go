package store

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/model"
)

// Record writes what the controller reports, all of it in one transaction. It never overrides what somebody decided
// meanwhile: see apply. A workload that is gone is passed over.
func (s *Store) Record(ctx context.Context, updates []model.WorkloadUpdate) error {
	if len(updates) == 0 {
		return nil
	}
	return s.Update(ctx, func(tx *Tx) error {
		for _, u := range updates {
			w, err := tx.Workload(u.WorkloadID)
			if errors.Is(err, ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			if err := tx.apply(w, u); err != nil {
				return err
			}
		}
		return nil
	})
}

// apply writes one update, in the order image, deploy, workload, status.
func (tx *Tx) apply(w model.Workload, u model.WorkloadUpdate) error {
	if u.Removed {
		return tx.applyRemoved(w)
	}
	if err := tx.applyImage(w, u); err != nil {
		return err
	}
	if err := tx.applyDeploy(w, u.Deploy); err != nil {
		return err
	}
	if err := tx.applyTargets(w, u); err != nil {
		return err
	}
	return tx.applyStatus(w, u.Status)
}

// applyRemoved forgets a workload that is to be deleted; another one stays.
func (tx *Tx) applyRemoved(w model.Workload) error {
	if !w.Deleting {
		return nil
	}
	a, err := tx.App(w.AppID)
	if err != nil {
		return err
	}
	e, err := tx.Environment(w.EnvID)
	if err != nil {
		return err
	}
	if err := tx.forgetWorkload(w); err != nil {
		return err
	}
	return tx.Emit(model.Event{Kind: "app", OrgID: w.OrgID, WorkloadID: w.ID, State: "removed", Detail: a.Name + " in " + e.Name})
}

// applyImage fills in what a release's image or site is, once.
func (tx *Tx) applyImage(w model.Workload, u model.WorkloadUpdate) error {
	if u.ReleaseID == "" || u.Image == nil && u.Static == nil {
		return nil
	}
	r, err := tx.Release(u.ReleaseID)
	if errors.Is(err, ErrNotFound) || (err == nil && r.WorkloadID != w.ID) {
		return nil
	} else if err != nil {
		return err
	}
	if u.Static != nil {
		if r.Static == nil {
			return nil
		}
		site := *r.Static
		site.Digest, site.Files, site.Bytes = u.Static.Digest, u.Static.Files, u.Static.Bytes
		r.Static = &site
		return tx.PutRelease(r)
	}
	if r.Image.Digest == "" || r.Build != nil { // what is built anew may differ
		r.Image.Digest = u.Image.Digest
	}
	if (r.Image.Config == nil || r.Build != nil) && r.Image.Digest == u.Image.Digest {
		r.Image.Config = u.Image.Config
	}
	return tx.PutRelease(r)
}

// applyDeploy writes how far a deploy has come. What the deploy is (who, what, why) and that somebody asked to cancel
// it stay as stored; one that is final stays altogether.
func (tx *Tx) applyDeploy(w model.Workload, d *model.Deploy) error {
	if d == nil {
		return nil
	}
	was, err := tx.Deploy(d.ID)
	if errors.Is(err, ErrNotFound) || (err == nil && (was.WorkloadID != w.ID || was.State.Final())) {
		return nil
	} else if err != nil {
		return err
	}
	is := was
	is.State, is.Phases, is.Error, is.FinishedAt = d.State, d.Phases, d.Error, d.FinishedAt
	if is.State.Final() && is.FinishedAt.IsZero() {
		is.FinishedAt = tx.Now()
	}
	if sameJSON(was, is) {
		return nil
	}
	if is.State.Final() {
		if err := tx.endBuild(is); err != nil {
			return err
		}
	}
	if err := tx.PutDeploy(is); err != nil {
		return err
	}
	e := model.Event{Kind: "deploy", OrgID: is.OrgID, WorkloadID: w.ID, DeployID: is.ID, State: string(is.State)}
	if n := len(is.Phases); n > 0 {
		e.Detail = is.Phases[n-1].Detail
	}
	if is.State.Final() && is.Error != nil {
		e.Detail = is.Error.What
	}
	return tx.Emit(e)
}

// applyTargets writes what became good, what is wanted again after a failure, and that a deploy is settled.
func (tx *Tx) applyTargets(w model.Workload, u model.WorkloadUpdate) error {
	is := w
	if u.Good != nil && *u.Good != w.Good {
		r, err := tx.Release(u.Good.ReleaseID)
		switch {
		case errors.Is(err, ErrNotFound) || (err == nil && r.WorkloadID != w.ID):
		case err != nil:
			return err
		default:
			is.Good = *u.Good
			if err := tx.jobsInForce(w, r); err != nil {
				return err
			}
			if r.GoodAt.IsZero() {
				r.GoodAt = tx.Now()
				if err := tx.PutRelease(r); err != nil {
					return err
				}
			}
		}
	}
	if u.RollBackTo != nil && w.DeployID == deployOf(u) {
		is.Want, is.DeployID = *u.RollBackTo, ""
	}
	if u.Settled != "" && is.DeployID == u.Settled {
		is.DeployID = ""
	}
	if sameJSON(is, w) {
		return nil
	}
	return tx.PutWorkload(is)
}

// deployOf returns the deploy that an update speaks for: a newer one of the workload is not its to undo.
func deployOf(u model.WorkloadUpdate) string {
	if u.Deploy != nil {
		return u.Deploy.ID
	}
	return u.Settled
}

// applyStatus writes what is seen, unless only the time differs, and tells of a new state or problem.
func (tx *Tx) applyStatus(w model.Workload, s *model.WorkloadStatus) error {
	if s == nil {
		return nil
	}
	was, err := tx.Status(w.ID)
	if err != nil {
		return err
	}
	is := *s
	is.WorkloadID = w.ID
	same := is
	same.UpdatedAt = was.UpdatedAt
	if sameJSON(was, same) {
		return nil
	}
	tx.touch(w.ID)
	if err := statuses().put(tx, is); err != nil {
		return err
	}
	if was.State == is.State && problem(was) == problem(is) {
		return nil
	}
	return tx.Emit(model.Event{Kind: "workload", OrgID: w.OrgID, WorkloadID: w.ID, State: string(is.State), Detail: problem(is)})
}

func problem(s model.WorkloadStatus) string {
	if s.Problem == nil {
		return ""
	}
	return s.Problem.What
}
