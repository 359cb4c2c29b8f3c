package control

import (
	"context"
	"errors"
	"strconv"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Run starts a job once, now, paused or not. KindConflict while it runs already, unless it allows that or replaces
// what runs.
func (j *Jobs) Run(ctx context.Context, actor model.Actor, ref Ref, name string) (out model.JobRun, err error) {
	err = j.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, one, err := j.find(tx, actor, identity.JobRun, ref, name)
		if err != nil {
			return err
		}
		if pl.w.Deleting {
			return beingDestroyed(ref)
		}
		if pl.w.Good.IsZero() {
			return nothingDeployed(pl.ref())
		}
		open, err := tx.OpenRuns(one.ID)
		if err != nil {
			return err
		}
		switch {
		case len(open) == 0 || one.Spec.Concurrency == model.ConcurrencyAllow:
		case one.Spec.Concurrency == model.ConcurrencyReplace:
			for _, r := range open {
				if _, err := tx.EndRun(r, "replaced by a run that "+nameOf(actor)+" started"); err != nil {
					return err
				}
			}
		default:
			return model.Conflict("run %d of %s is not over", open[0].Number, name).
				WithHint("wait for it, or end it: pandabox job cancel %s %d -a %s -e %s", name, open[0].Number, pl.app.Name, pl.env.Name)
		}
		if out, err = tx.AddRun(&one, model.JobRun{By: nameOf(actor), StartAt: j.c.now(), State: model.RunPending}); err != nil {
			return err
		}
		return j.c.record(tx, actor, pl.org.ID, "job.run", pl.ref().String(), name+" run "+strconv.Itoa(out.Number))
	})
	return out, err
}

// Runs returns a job's runs, newest first.
func (j *Jobs) Runs(ctx context.Context, actor model.Actor, ref Ref, name string, p Page) (out List[model.JobRun], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = j.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, one, err := j.find(tx, actor, identity.AppRead, ref, name)
		if err != nil {
			return err
		}
		found, next, err := tx.JobRuns(one.ID, cur.after, cur.limit)
		out = page(found, next)
		return err
	})
	return out, err
}

// GetRun returns one run; number 0 is the newest.
func (j *Jobs) GetRun(ctx context.Context, actor model.Actor, ref Ref, name string, number int) (out model.JobRun, err error) {
	err = j.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, one, err := j.find(tx, actor, identity.AppRead, ref, name)
		if err != nil {
			return err
		}
		out, err = jobRun(tx, one, number)
		return err
	})
	return out, err
}

// Cancel ends a run. One that is over stays as it is, which is a conflict.
func (j *Jobs) Cancel(ctx context.Context, actor model.Actor, ref Ref, name string, number int) (out model.JobRun, err error) {
	err = j.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, one, err := j.find(tx, actor, identity.JobRun, ref, name)
		if err != nil {
			return err
		}
		r, err := jobRun(tx, one, number)
		if err != nil {
			return err
		}
		if r.State.Final() {
			return model.Conflict("run %d of %s is over: %s", r.Number, name, r.State).WithHint("see it: pandabox job history %s", name)
		}
		if out, err = tx.EndRun(r, "canceled by "+nameOf(actor)); err != nil {
			return err
		}
		return j.c.record(tx, actor, pl.org.ID, "job.cancel", pl.ref().String(), name+" run "+strconv.Itoa(r.Number))
	})
	return out, err
}

func jobRun(tx *store.Tx, j model.Job, number int) (model.JobRun, error) {
	if number == 0 {
		number = j.LastRun
	}
	r, err := tx.JobRun(j.ID, max(number, 0))
	if errors.Is(err, store.ErrNotFound) {
		return r, model.NotFound("%s has no run %d", j.Spec.Name, number).WithHint("see which there are: pandabox job history %s", j.Spec.Name)
	}
	return r, err
}
