package cron

import (
	"context"
	"errors"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Book keeps jobs and runs. pkg/store satisfies it. What it returned without an error is durable.
type Book interface {
	// JobIDs returns the ids of all jobs.
	JobIDs(ctx context.Context) ([]string, error)
	// DecideJobs shows each job to decide and writes what it answers, all in one transaction, and returns the jobs as they
	// are then. A job that is gone is Deleted and has no name.
	DecideJobs(ctx context.Context, ids []string, decide func(j model.JobState, known func(due time.Time) bool) model.JobDecision) ([]model.JobState, error)
	// BeginRuns makes pending runs running, one attempt on, or final where there is nothing to run.
	BeginRuns(ctx context.Context, runs []model.JobRun, now time.Time) ([]model.JobRun, error)
	// ChangeRun changes a run that is not final; changed is false where it is, or is gone.
	ChangeRun(ctx context.Context, jobID string, number int, change func(*model.JobRun)) (r model.JobRun, changed bool, err error)
	// JobChanges tells that jobs were changed by somebody else, and which.
	JobChanges() (<-chan struct{}, func() []string)
}

// Runner does one attempt. pkg/control satisfies it.
type Runner interface {
	// Attempt runs the attempt that r says and returns how it ended. With adopt it may have begun in an earlier life of the
	// daemon: what goes on is waited for, and nothing is started twice. When ctx ends with the cause ErrEnd or ErrTimeout,
	// the attempt is ended; when it ends otherwise, it is left to go on for the next daemon to adopt.
	Attempt(ctx context.Context, j model.Job, r model.JobRun, adopt bool) (model.JobOutcome, error)
	// Clear removes what attempts left behind, once their log is complete: the containers of r, which is written as over.
	Clear(ctx context.Context, r model.JobRun) error
	// Sweep removes the containers of jobs that keep does not know.
	Sweep(ctx context.Context, keep func(container string) bool) error
}

// Clock is the time. Now may jump; After counts time that passes.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

// Causes for which an attempt's context ends.
var (
	ErrEnd     = errors.New("the run was ended")
	ErrTimeout = errors.New("the attempt took longer than its timeout")
)

// systemClock is the Clock of this machine.
type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now().Round(0) } // without the monotonic part: what counts is what the clock shows
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
