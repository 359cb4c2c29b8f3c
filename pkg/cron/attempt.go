package cron

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// attempt is one that is under way.
type attempt struct {
	entry  *entry
	job    model.Job // as it was when the attempt began
	run    model.JobRun
	class  int
	ending bool
	cancel context.CancelCauseFunc
	adopt  bool
}

// free returns how many slots of a class nobody has.
func (s *Scheduler) free(class int) int {
	if class == containers {
		return s.cfg.Slots - s.under[containers]
	}
	return s.cfg.Calls - s.under[calls]
}

// take gives a run a slot.
func (s *Scheduler) take(e *entry, r model.JobRun) *attempt {
	a := &attempt{entry: e, job: e.job, run: r, class: classOf(e.job.Spec), adopt: true, cancel: func(error) {}}
	if r.Container != "" {
		a.class = containers
	}
	e.running++
	s.under[a.class]++
	s.running[r.ID] = a
	s.names.put(r.Container, true)
	return a
}

// begin starts the runs whose moment has come, as far as there are slots, and goes on with adopted ones.
func (s *Scheduler) begin(ctx context.Context, attempts *sync.WaitGroup, now time.Time) {
	for _, a := range s.adopted {
		s.launch(ctx, attempts, a)
	}
	s.adopted = nil
	for {
		chosen := s.choose(now)
		if len(chosen) == 0 {
			return
		}
		runs := make([]model.JobRun, len(chosen))
		for i, p := range chosen {
			runs[i] = p.run
		}
		begun, err := s.cfg.Book.BeginRuns(ctx, runs, now)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error().Err(err).Int("runs", len(runs)).Msg("beginning runs; trying again")
			}
			for _, p := range chosen {
				s.again = append(s.again, p.entry.job.ID)
			}
			return
		}
		byID := map[string]*pending{}
		for _, p := range chosen {
			byID[p.run.ID] = p
		}
		for _, r := range begun {
			if r.State != model.RunRunning {
				continue
			}
			a := s.take(byID[r.ID].entry, r)
			a.adopt = false
			s.launch(ctx, attempts, a)
		}
		for _, p := range chosen {
			s.next(p.entry)
		}
	}
}

// choose takes from the lines what may start now: at most one of a job at a time, unless it allows more.
func (s *Scheduler) choose(now time.Time) []*pending {
	var out []*pending
	busy := map[*entry]bool{}
	for class := range s.lines {
		l := &s.lines[class]
		for free := s.free(class); free > 0 && l.Len() > 0 && !(*l)[0].run.StartAt.After(now); {
			p := heap.Pop(l).(*pending)
			if p.entry.job.Spec.Concurrency != model.ConcurrencyAllow && (busy[p.entry] || p.entry.running > 0) {
				continue // it comes back when the one before it is over
			}
			busy[p.entry] = true
			delete(p.entry.waiting, p.run.ID)
			out = append(out, p)
			free--
		}
	}
	return out
}

// next puts the runs of a job that wait for others of it back into the line, once none is under way.
func (s *Scheduler) next(e *entry) {
	if e.running > 0 && e.job.Spec.Concurrency != model.ConcurrencyAllow {
		return
	}
	for _, p := range e.waiting {
		if p.index < 0 {
			heap.Push(p.line, p)
		}
	}
}

// launch runs an attempt in a goroutine of its own, which is done by the time attempts is.
func (s *Scheduler) launch(ctx context.Context, attempts *sync.WaitGroup, a *attempt) {
	own, cancel := context.WithCancelCause(ctx)
	a.cancel = cancel
	if a.run.Ending != "" {
		a.ending = true
		cancel(ErrEnd)
	}
	attempts.Go(func() {
		defer cancel(nil)
		s.attempt(ctx, own, cancel, a)
		select {
		case s.done <- a:
		case <-ctx.Done():
		}
	})
}

// attempt runs an attempt to its end and has the end written. When ctx itself ends, nothing is written: the attempt
// goes on, and the next daemon adopts it.
func (s *Scheduler) attempt(ctx, own context.Context, cancel context.CancelCauseFunc, a *attempt) {
	ended := make(chan struct{})
	var timer sync.WaitGroup
	timer.Go(func() {
		most := a.job.Spec.Timeout.Or(model.DefaultJobTimeout)
		left := min(a.run.StartedAt.Add(most).Sub(s.cfg.Clock.Now()), most)
		if a.adopt {
			left = max(left, Grace) // to see that it has ended meanwhile
		}
		select {
		case <-s.cfg.Clock.After(left):
			cancel(ErrTimeout)
		case <-ended:
		}
	})
	out, err := s.cfg.Runner.Attempt(own, a.job, a.run, a.adopt)
	close(ended)
	timer.Wait()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		out = model.JobOutcome{Why: err.Error()}
	}
	cause := context.Cause(own)
	for {
		r, _, werr := s.cfg.Book.ChangeRun(ctx, a.run.JobID, a.run.Number, func(r *model.JobRun) {
			finish(a.job, r, out, cause, s.cfg.Clock.Now())
		})
		if werr == nil {
			a.run.Ending = r.Ending
			break
		}
		if ctx.Err() != nil {
			return
		}
		s.log.Error().Err(werr).Str("run", a.run.ID).Msg("writing the end of a run; trying again")
		select {
		case <-ctx.Done():
			return
		case <-s.cfg.Clock.After(retryIn):
		}
	}
	if err := s.cfg.Runner.Clear(ctx, a.run); err != nil && ctx.Err() == nil {
		s.log.Warn().Err(err).Str("run", a.run.ID).Msg("cleaning up after a run; trying again later")
	}
}

// finish writes how an attempt ended into its run: over, or waiting for the next attempt.
func finish(j model.Job, r *model.JobRun, out model.JobOutcome, cause error, now time.Time) {
	now = now.UTC()
	r.ExitCode, r.Why, r.FinishedAt = out.ExitCode, out.Why, now
	switch {
	case out.Succeeded:
		r.State, r.Why = model.RunSucceeded, ""
		return
	case r.Ending != "":
		r.State, r.Why = model.RunCanceled, r.Ending
		return
	case errors.Is(cause, ErrTimeout):
		r.State, r.Why = model.RunTimedOut, "it took longer than "+shortDuration(j.Spec.Timeout.Or(model.DefaultJobTimeout))
	default:
		r.State = model.RunFailed
	}
	if r.Attempt <= j.Spec.Retries && !j.Deleted {
		r.State, r.FinishedAt = model.RunPending, time.Time{}
		r.StartAt = now.Add(Backoff(j.Spec, r.Attempt))
	}
}

// Backoff returns how long to wait after so many failed attempts: twice as long after each.
func Backoff(s model.JobSpec, attempts int) time.Duration {
	return min(s.Backoff.Or(model.DefaultJobBackoff)<<min(attempts-1, 20), model.MaxJobBackoff.Std())
}

func shortDuration(d time.Duration) string { return words(d.Round(time.Second)) }

// over takes an attempt that has ended.
func (s *Scheduler) over(a *attempt) {
	delete(s.running, a.run.ID)
	s.names.put(a.run.Container, false)
	s.under[a.class]--
	a.entry.running--
	s.again = append(s.again, a.run.JobID)
}

// sweep removes the containers of runs that are over, or of another life of the box.
func (s *Scheduler) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	if err := s.cfg.Runner.Sweep(ctx, s.names.has); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		s.log.Warn().Err(err).Msg("removing containers of jobs that are over")
	}
}

// names are those of containers that nobody may sweep away.
type names struct {
	mu  sync.Mutex
	set map[string]bool
}

func (n *names) put(name string, in bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set == nil {
		n.set = map[string]bool{}
	}
	if in {
		n.set[name] = true
	} else {
		delete(n.set, name)
	}
}

func (n *names) has(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.set[name]
}
