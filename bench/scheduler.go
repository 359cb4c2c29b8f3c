package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// What scheduler-10k looks at: so many jobs in all, shared by so many apps, for so long.
const (
	schedulerApps  = 10
	schedulerJobs  = 1000 // of each app, the most there may be
	schedulerIdle  = 20 * time.Second
	schedulerWatch = time.Minute
)

const percent unit = " %" // of a core

// schedulerFigures are what a box with many jobs gives.
type schedulerFigures struct {
	idle   float64         // per cent of a core that the daemon needs more than without jobs, none being due
	late   []time.Duration // of each run: from its due time until the app has answered
	detail string
}

func schedulerCPU(ctx context.Context, s *setup) (result, error) {
	f, err := s.scheduler(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: f.idle, detail: f.detail}, nil
}

func schedulerLate(ctx context.Context, s *setup) (result, error) {
	f, err := s.scheduler(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: ms(percentile(f.late, 0.99)), detail: fmt.Sprintf("%d runs in %s: median %.1f ms, latest %.1f ms",
		len(f.late), schedulerWatch, ms(percentile(f.late, 0.5)), ms(percentile(f.late, 1)))}, nil
}

// scheduler fills a box with jobs that are not due and looks at the daemon's CPU time; then it makes them due once an
// hour, each at a second of its own, and looks at how late they were.
func (s *setup) scheduler(ctx context.Context) (_ *schedulerFigures, err error) {
	if s.jobs != nil {
		return s.jobs, nil
	}
	b, err := s.box(ctx)
	if err != nil {
		return nil, err
	}
	defer b.end(ctx, &err)
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return nil, err
	}
	for i := range schedulerApps {
		if _, err := b.plainApp(ctx, i, img); err != nil {
			return nil, err
		}
	}
	without, err := b.busy(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.schedule(ctx, img, "%d %d 4 29 2 *"); err != nil {
		return nil, err
	}
	with, err := b.busy(ctx)
	if err != nil {
		return nil, err
	}
	f := &schedulerFigures{idle: max(with-without, 0), detail: fmt.Sprintf("the daemon with %d apps and no job %.2f %%, with %d jobs %.2f %%", schedulerApps, without, schedulerApps*schedulerJobs, with)}
	if err := b.schedule(ctx, img, "%d %d * * * *"); err != nil {
		return nil, err
	}
	if f.late, err = b.lateness(ctx); err != nil {
		return nil, err
	}
	s.jobs = f
	return f, nil
}

// busy returns the CPU time of the daemon over a while, in per cent of a core.
func (b *bench) busy(ctx context.Context) (float64, error) {
	if err := pause(ctx, settleTime); err != nil {
		return 0, err
	}
	before, err := cpu(b.Pid())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := pause(ctx, schedulerIdle); err != nil {
		return 0, err
	}
	after, err := cpu(b.Pid())
	return 100 * float64(after-before) / float64(time.Since(began)), err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// secondOf is when in its hour a job is due: they are spread evenly.
func secondOf(app, job int) int {
	return (app*schedulerJobs + job) * 3600 / (schedulerApps * schedulerJobs)
}

// schedule deploys every app with its jobs; form takes the second and the minute.
func (b *bench) schedule(ctx context.Context, img model.Image, form string) error {
	for app := range schedulerApps {
		specs := make([]model.JobSpec, schedulerJobs)
		for job := range specs {
			at := secondOf(app, job)
			specs[job] = model.JobSpec{Name: fmt.Sprintf("job-%d", job), Schedule: fmt.Sprintf(form, at%60, at/60), Path: "/who"}
		}
		n := plan(img)
		n.Jobs = &specs
		if err := b.deploy(ctx, fmt.Sprintf("app%d", app), n); err != nil {
			return err
		}
	}
	return nil
}

// lateness watches for a while and returns how late each run was that was due meanwhile.
func (b *bench) lateness(ctx context.Context) ([]time.Duration, error) {
	began := time.Now().Add(5 * time.Second).Truncate(time.Second)
	if err := pause(ctx, time.Until(began.Add(schedulerWatch+5*time.Second))); err != nil {
		return nil, err
	}
	var out []time.Duration
	for app := range schedulerApps {
		for job := range schedulerJobs {
			due := began.UTC().Truncate(time.Hour).Add(time.Duration(secondOf(app, job)) * time.Second)
			if due.Before(began) {
				due = due.Add(time.Hour)
			}
			if !due.Before(began.Add(schedulerWatch)) {
				continue
			}
			name := fmt.Sprintf("job-%d", job)
			r, err := b.JobRun(ctx, client.Ref{App: fmt.Sprintf("app%d", app)}, name, 0)
			if err != nil {
				return nil, fmt.Errorf("the run of %s at %s: %w", name, due, err)
			}
			if !r.Due.Equal(due) || r.State != model.RunSucceeded {
				return nil, fmt.Errorf("%s of app%d was due at %s; its last run: %s at %s, %s", name, app, due, r.State, r.Due, r.Why)
			}
			out = append(out, r.FinishedAt.Sub(due))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no job was due")
	}
	return out, nil
}
