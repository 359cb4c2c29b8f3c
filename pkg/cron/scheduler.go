package cron

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	lookEvery  = time.Second // however far off the next due time is: the clock may have jumped
	sweepEvery = time.Hour   // retention, and containers nobody knows
	sweepTime  = time.Minute // for one sweep
	batch      = 200         // jobs decided on in one transaction
	retryIn    = time.Second // after the store did not take something
)

// Config is what a Scheduler works with. Book and Runner are needed.
type Config struct {
	Book   Book
	Runner Runner
	Clock  Clock           // nil means this machine's
	Slots  int             // containers of jobs that run at once; 0 means DefaultSlots
	Calls  int             // requests and calls of functions at once; 0 means DefaultCalls
	Logger *zerolog.Logger // nil means none
}

// DefaultSlots is how many containers of jobs run at once: a container starts on the CPU.
func DefaultSlots() int { return max(8, 4*runtime.NumCPU()) }

// DefaultCalls is how many requests of jobs are under way at once.
const DefaultCalls = 64

// Scheduler sees to it that each due time of each job ends as one recorded run.
type Scheduler struct {
	cfg Config
	log zerolog.Logger

	jobs    map[string]*entry
	due     queue               // jobs by their next due time
	lines   [2]line             // runs that wait for their moment or a slot: calls, containers
	running map[string]*attempt // by run id
	adopted []*attempt          // of an earlier life, to be gone on with
	under   [2]int              // under way: calls, containers
	names   names               // of the containers of attempts under way
	done    chan *attempt
	again   []string // jobs to look at again
	swept   time.Time
	last    time.Time // what the clock showed at the last look
}

// entry is what the scheduler knows of a job.
type entry struct {
	job      model.Job
	schedule Schedule
	next     time.Time
	index    int                 // in the queue; -1: not there
	waiting  map[string]*pending // its runs that wait, by id
	running  int
}

// New checks the configuration.
func New(cfg Config) (*Scheduler, error) {
	if cfg.Book == nil || cfg.Runner == nil {
		return nil, errors.New("cron: a book and a runner are needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = systemClock{}
	}
	cfg.Slots = cmp.Or(cfg.Slots, DefaultSlots())
	cfg.Calls = cmp.Or(cfg.Calls, DefaultCalls)
	s := &Scheduler{cfg: cfg, log: zerolog.Nop(), jobs: map[string]*entry{}, running: map[string]*attempt{}, done: make(chan *attempt)}
	if cfg.Logger != nil {
		s.log = cfg.Logger.With().Str("component", "cron").Logger()
	}
	return s, nil
}

// Run works until ctx ends. Containers of jobs go on running then: the next Run adopts them.
func (s *Scheduler) Run(ctx context.Context) error {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	work, stop := context.WithCancel(ctx)
	defer stop()
	told, changed := s.cfg.Book.JobChanges()
	ids, err := s.cfg.Book.JobIDs(ctx)
	if err != nil {
		return err
	}
	s.again = ids
	for ctx.Err() == nil {
		now := s.cfg.Clock.Now()
		s.look(work, &attempts, now)
		select {
		case <-ctx.Done():
		case <-told:
			s.again = append(s.again, changed()...)
		case a := <-s.done:
			s.over(a)
		case <-s.cfg.Clock.After(max(s.wait(now), time.Millisecond)):
		}
		s.drain()
	}
	return nil
}

// drain takes what else has ended meanwhile.
func (s *Scheduler) drain() {
	for {
		select {
		case a := <-s.done:
			s.over(a)
		default:
			return
		}
	}
}

// look decides on what is due, starts what is ready, and cleans up from time to time.
func (s *Scheduler) look(ctx context.Context, attempts *sync.WaitGroup, now time.Time) {
	ids := s.again
	s.again = nil
	if now.Before(s.last.Add(-Grace)) {
		s.log.Warn().Time("was", s.last).Time("is", now).Msg("the clock went back")
		ids = append(ids, s.all()...)
	}
	s.last = now
	first := s.swept.IsZero()
	if !first && (now.Sub(s.swept) >= sweepEvery || now.Before(s.swept)) {
		ids = append(ids, s.all()...)
		defer attempts.Go(func() { s.sweep(ctx) })
		s.swept = now
	}
	for s.due.Len() > 0 && !s.due[0].next.After(now) {
		e := heap.Pop(&s.due).(*entry)
		ids = append(ids, e.job.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for part := range slices.Chunk(ids, batch) {
		s.decide(ctx, part, now)
		if !first {
			s.begin(ctx, attempts, s.cfg.Clock.Now())
		}
	}
	if first {
		if len(s.again) > 0 {
			return // what is under way is not known yet
		}
		s.sweep(ctx) // before anything begins: an older store may have been put back under what runs
		s.swept = now
	}
	s.begin(ctx, attempts, s.cfg.Clock.Now())
}

func (s *Scheduler) all() []string {
	out := make([]string, 0, len(s.jobs))
	for id := range s.jobs {
		out = append(out, id)
	}
	return out
}

// decide has the due times of some jobs decided on and written.
func (s *Scheduler) decide(ctx context.Context, ids []string, now time.Time) {
	states, err := s.cfg.Book.DecideJobs(ctx, ids, func(j model.JobState, known func(time.Time) bool) model.JobDecision {
		schedule, err := s.scheduleOf(j.Job)
		if err != nil {
			return model.JobDecision{}
		}
		return Step(schedule, j, known, now)
	})
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error().Err(err).Int("jobs", len(ids)).Msg("writing runs; trying again")
		}
		s.again = append(s.again, ids...)
		return
	}
	for _, st := range states {
		s.know(st)
	}
}

// scheduleOf returns a job's schedule, read once.
func (s *Scheduler) scheduleOf(j model.Job) (Schedule, error) {
	if e := s.jobs[j.ID]; e != nil && e.job.Spec.Schedule == j.Spec.Schedule && e.job.Spec.Timezone == j.Spec.Timezone && e.schedule.loc != nil {
		return e.schedule, nil
	}
	return Parse(j.Spec.Schedule, j.Spec.Timezone)
}

// know takes a job as it is now.
func (s *Scheduler) know(st model.JobState) {
	e := s.jobs[st.Job.ID]
	if e == nil {
		e = &entry{index: -1, waiting: map[string]*pending{}}
	}
	schedule, err := s.scheduleOf(st.Job)
	if err != nil && st.Job.Spec.Name != "" {
		s.log.Error().Err(err).Str("job", st.Job.ID).Msg("a job whose schedule cannot be read is never due")
	}
	e.job, e.schedule = st.Job, schedule
	s.jobs[st.Job.ID] = e
	if e.index >= 0 {
		heap.Remove(&s.due, e.index)
	}
	if err == nil {
		if e.next = NextDue(schedule, st.Job); !e.next.IsZero() {
			heap.Push(&s.due, e)
		}
	}
	s.open(e, st.Open)
	if st.Job.Deleted && len(st.Open) == 0 && e.running == 0 {
		delete(s.jobs, st.Job.ID)
	}
}

// open takes a job's runs that are not final: those to wait for, to adopt and to end.
func (s *Scheduler) open(e *entry, runs []model.JobRun) {
	for _, p := range e.waiting {
		p.leave()
	}
	clear(e.waiting)
	for _, r := range runs {
		a := s.running[r.ID]
		switch {
		case a != nil && r.Ending != "" && !a.ending:
			a.ending = true
			a.cancel(ErrEnd)
		case a != nil:
		case r.State == model.RunRunning:
			s.adopted = append(s.adopted, s.take(e, r))
		default:
			s.queue(e, r)
		}
	}
}

// queue makes a run wait for its moment and its turn.
func (s *Scheduler) queue(e *entry, r model.JobRun) {
	if r.StartAt.Sub(s.last) > model.MaxJobJitter.Std()+model.MaxJobBackoff.Std() {
		r.StartAt = s.last // the clock went back
	}
	p := &pending{run: r, entry: e, index: -1, line: &s.lines[classOf(e.job.Spec)]}
	e.waiting[r.ID] = p
	if e.running == 0 || e.job.Spec.Concurrency == model.ConcurrencyAllow {
		heap.Push(p.line, p)
	} // else it comes into the line when the one before it is over
}

// wait returns how long there is nothing to do.
func (s *Scheduler) wait(now time.Time) time.Duration {
	wait := lookEvery
	if s.due.Len() > 0 {
		wait = min(wait, s.due[0].next.Sub(now))
	}
	for class := range s.lines {
		if l := s.lines[class]; len(l) > 0 && s.free(class) > 0 {
			wait = min(wait, l[0].run.StartAt.Sub(now))
		}
	}
	return wait
}
