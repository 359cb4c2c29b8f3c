package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/cron"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// nextTimes is how many due times a job is shown with.
const nextTimes = 5

// Jobs are what a workload runs at set times.
type Jobs struct{ c *Control }

// Job is a job with what is to be said of it now.
type Job struct {
	model.Job
	Description string        // its schedule in words
	Next        []time.Time   // its next due times, none while it is paused
	Last        *model.JobRun // its newest run; nil before the first
}

// Explained is a schedule in words.
type Explained struct {
	Description string
	Timezone    string
	Next        []time.Time
}

// List returns the workload's jobs by name.
func (j *Jobs) List(ctx context.Context, actor model.Actor, ref Ref) (out []Job, err error) {
	err = j.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := j.c.find(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		all, err := tx.Jobs(pl.w.ID)
		if err != nil {
			return err
		}
		out = make([]Job, len(all))
		for i, one := range all {
			if out[i], err = j.c.jobView(tx, one); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Get returns one job.
func (j *Jobs) Get(ctx context.Context, actor model.Actor, ref Ref, name string) (out Job, err error) {
	err = j.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, one, err := j.find(tx, actor, identity.AppRead, ref, name)
		if err != nil {
			return err
		}
		out, err = j.c.jobView(tx, one)
		return err
	})
	return out, err
}

// Set adds a job, or changes one that was added before. A job of the app's own file is changed there.
func (j *Jobs) Set(ctx context.Context, actor model.Actor, ref Ref, spec model.JobSpec) (out Job, err error) {
	err = j.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := j.c.findToChange(tx, actor, identity.JobWrite, ref)
		if err != nil {
			return err
		}
		if spec, err = checkJob(spec, pl.app.Kind); err != nil {
			return err
		}
		all, err := tx.Jobs(pl.w.ID)
		if err != nil {
			return err
		}
		had := slices.IndexFunc(all, func(one model.Job) bool { return one.Spec.Name == spec.Name })
		switch {
		case had >= 0 && all[had].Source == model.JobOfRelease:
			return model.Conflict("the job %s is in the app's own file", spec.Name).
				WithHint("change it there and deploy, or choose another name")
		case had < 0 && len(all) >= model.MaxJobs:
			return model.Errorf(model.KindTooLarge, "%s has %d jobs", pl.ref(), len(all)).WithHint("at most %d fit; remove one first", model.MaxJobs)
		}
		if err := tx.SetJob(pl.w, spec, model.JobAdded); err != nil {
			return err
		}
		one, err := tx.JobNamed(pl.w.ID, spec.Name)
		if err != nil {
			return err
		}
		if out, err = j.c.jobView(tx, one); err != nil {
			return err
		}
		return j.c.record(tx, actor, pl.org.ID, "job.set", pl.ref().String(), spec.Name+" "+spec.Schedule)
	})
	return out, err
}

// Remove ends a job that was added, and what of it runs. Its history stays until its retention ends it.
func (j *Jobs) Remove(ctx context.Context, actor model.Actor, ref Ref, name string) error {
	return j.change(ctx, actor, ref, name, "job.remove", func(tx *store.Tx, one *model.Job) error {
		if one.Source == model.JobOfRelease {
			return model.Conflict("the job %s is in the app's own file", name).
				WithHint("take it out there and deploy; or: pandabox job pause %s", name)
		}
		return tx.DeleteJob(*one, "the job was removed by "+nameOf(actor), true)
	})
}

// Pause keeps a job from being due; what runs goes on. Paused due times are not made up for.
func (j *Jobs) Pause(ctx context.Context, actor model.Actor, ref Ref, name string) error {
	return j.change(ctx, actor, ref, name, "job.pause", func(tx *store.Tx, one *model.Job) error {
		if one.Paused {
			return nil
		}
		one.Paused = true
		return tx.PutJob(*one)
	})
}

// Resume makes a paused job due again, from now on.
func (j *Jobs) Resume(ctx context.Context, actor model.Actor, ref Ref, name string) error {
	return j.change(ctx, actor, ref, name, "job.resume", func(tx *store.Tx, one *model.Job) error {
		if !one.Paused {
			return nil
		}
		one.Paused, one.Since = false, j.c.now().Truncate(time.Second)
		return tx.PutJob(*one)
	})
}

// change is what the changes of one job have in common.
func (j *Jobs) change(ctx context.Context, actor model.Actor, ref Ref, name, action string, do func(*store.Tx, *model.Job) error) error {
	return j.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, one, err := j.find(tx, actor, identity.JobWrite, ref, name)
		if err != nil {
			return err
		}
		if err := do(tx, &one); err != nil {
			return err
		}
		return j.c.record(tx, actor, pl.org.ID, action, pl.ref().String(), name)
	})
}

// find returns a workload's job.
func (j *Jobs) find(tx *store.Tx, actor model.Actor, p identity.Permission, ref Ref, name string) (place, model.Job, error) {
	pl, err := j.c.find(tx, actor, p, ref)
	if err == nil && p != identity.AppRead {
		err = j.c.guard(actor, pl)
	}
	if err != nil {
		return pl, model.Job{}, err
	}
	one, err := tx.JobNamed(pl.w.ID, name)
	if !errors.Is(err, store.ErrNotFound) {
		return pl, one, err
	}
	all, err := tx.Jobs(pl.w.ID)
	if err != nil {
		return pl, one, err
	}
	names := make([]string, len(all))
	for i, other := range all {
		names[i] = other.Spec.Name
	}
	e := model.NotFound("%s has no job %q", pl.ref(), name)
	if n := nearest(name, names); n != "" {
		return pl, one, e.WithHint("did you mean %q? all of them: pandabox job list -a %s -e %s", n, pl.app.Name, pl.env.Name)
	}
	return pl, one, e.WithHint("see which there are: pandabox job list -a %s -e %s", pl.app.Name, pl.env.Name)
}

// Explain says a schedule in words, with the due times that come next.
func (j *Jobs) Explain(schedule, timezone string) (Explained, error) {
	s, err := cron.Parse(schedule, timezone)
	if err != nil {
		return Explained{}, err
	}
	now := j.c.now()
	return Explained{Description: s.Describe(), Timezone: s.Location().String(), Next: nextOf(s, now, now)}, nil
}

func nextOf(s cron.Schedule, after, since time.Time) []time.Time {
	var out []time.Time
	for range nextTimes {
		if after = s.Next(after, since); after.IsZero() {
			break
		}
		out = append(out, after)
	}
	return out
}

// jobView says what a job is now.
func (c *Control) jobView(tx *store.Tx, one model.Job) (Job, error) {
	out := Job{Job: one}
	if s, err := cron.Parse(one.Spec.Schedule, one.Spec.Timezone); err == nil {
		out.Description = s.Describe()
		if !one.Paused {
			out.Next = nextOf(s, c.now(), one.Since)
		}
	}
	runs, _, err := tx.JobRuns(one.ID, "", 1)
	if len(runs) > 0 {
		out.Last = &runs[0]
	}
	return out, err
}

// checkJob refuses a job that an app of that kind cannot have, and returns it as it is kept.
func checkJob(s model.JobSpec, kind model.AppKind) (model.JobSpec, error) {
	if kind == model.KindFunction && len(s.Command) == 0 && s.Path == "" {
		s.Scheduled = true
	}
	if err := s.Validate(); err != nil {
		return s, err
	}
	switch {
	case kind == model.KindStatic:
		return s, &model.JobError{Field: "name", Err: siteHasNoJobs(s.Name)}
	case kind == model.KindFunction && len(s.Command) > 0:
		return s, &model.JobError{Field: "command", Err: model.Invalid("the job %s of a function cannot run a command", s.Name).
			WithWhy("a function has no containers").WithHint("call its scheduled handler: scheduled = true; or a path of it")}
	case kind != model.KindFunction && s.Scheduled:
		return s, &model.JobError{Field: "scheduled", Err: model.Invalid("the job %s calls a scheduled handler, which only a function has", s.Name).
			WithHint("give it a command, or a path of the app")}
	case kind == model.KindWorker && s.Path != "":
		return s, &model.JobError{Field: "path", Err: model.Invalid("the job %s asks for a path, and a worker answers no requests", s.Name).WithHint("give it a command")}
	}
	_, err := cron.Parse(s.Schedule, s.Timezone)
	return s, err
}

// checkJobs refuses jobs that cannot be together in a release, and says which and which of its fields.
func checkJobs(specs []model.JobSpec, kind model.AppKind) ([]model.JobSpec, error) {
	if len(specs) > model.MaxJobs {
		return nil, model.Errorf(model.KindTooLarge, "the app has %d jobs", len(specs)).WithHint("at most %d fit", model.MaxJobs)
	}
	out := slices.Clone(specs)
	for i := range out {
		one, err := checkJob(out[i], kind)
		if err != nil {
			return nil, inJob(i, out[i].Name, err)
		}
		if slices.ContainsFunc(out[:i], func(o model.JobSpec) bool { return o.Name == one.Name }) {
			return nil, inJob(i, one.Name, &model.JobError{Field: "name", Err: model.Invalid("there are two jobs of that name").WithHint("give each a name of its own")})
		}
		out[i] = one
	}
	return out, nil
}

// inJob says which job of a release a fault is in, and in which field.
func inJob(i int, name string, err error) error {
	where := fmt.Sprintf("job %d", i+1)
	if name != "" {
		where = "job " + name
	}
	var at *model.JobError
	if errors.As(err, &at) {
		where += ", " + at.Field
	}
	var m *model.Error
	if !errors.As(err, &m) {
		return err
	}
	c := *m
	c.What = where + ": " + c.What
	return &c
}

// jobNames refuses jobs of a release whose names were given by hand already.
func jobNames(tx *store.Tx, pl place, specs []model.JobSpec) error {
	all, err := tx.Jobs(pl.w.ID)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.Source == model.JobAdded && slices.ContainsFunc(specs, func(s model.JobSpec) bool { return s.Name == one.Spec.Name }) {
			return model.Conflict("job %s, name: a job of that name was added by hand", one.Spec.Name).
				WithHint("take that away first: pandabox job remove %s -a %s -e %s; or rename it in the file", one.Spec.Name, pl.app.Name, pl.env.Name)
		}
	}
	return nil
}
