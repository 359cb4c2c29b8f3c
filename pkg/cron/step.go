package cron

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Grace is how late a due time may be looked at and still count as on time. One that is later was missed, and the job's
// misfire policy says what becomes of it; a clock that went back by less is waited for.
const Grace = 5 * time.Second

// Step decides what becomes of a job's due times up to now. known tells whether a due time has its run already.
//
// Due times after the cursor are taken in order. Those within Grace of now run, unless the job's concurrency is against
// it; earlier ones were missed, and are run as the misfire policy says. More missed ones than model.MaxMissed are one
// record. When the clock went back behind the cursor, the cursor follows: what ran does not run again, what was only
// skipped or missed will come.
func Step(s Schedule, st model.JobState, known func(due time.Time) bool, now time.Time) model.JobDecision {
	j := st.Job
	if j.Deleted || j.Paused {
		return model.JobDecision{}
	}
	if back := after(j).Sub(now); back > Grace {
		return model.JobDecision{
			TakeBack: true, Cursor: now.Truncate(time.Second),
			Told: fmt.Sprintf("the clock went back by %s; what it had skipped will come again", back.Round(time.Second)),
		}
	}
	d := &decider{s: s, job: j, open: st.Open, known: known, now: now}
	d.look()
	d.late()
	for _, due := range d.onTime {
		d.start(due)
	}
	return d.out
}

// NextDue returns the due time that Step will look at next; the zero time for none.
func NextDue(s Schedule, j model.Job) time.Time {
	if j.Deleted || j.Paused {
		return time.Time{}
	}
	return s.Next(after(j), j.Since)
}

// after is the moment behind which due times have no run yet.
func after(j model.Job) time.Time {
	if j.Cursor.After(j.Since) {
		return j.Cursor
	}
	return j.Since
}

// Jitter returns how much a due time's start is put off: the same for the same job and due time, whoever asks.
func Jitter(jobID string, due time.Time, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s/%d", jobID, due.Unix())
	return time.Duration(h.Sum64() % uint64(most+1)) //nolint:gosec // most is positive
}

type decider struct {
	s     Schedule
	job   model.Job
	open  []model.JobRun // that go on, those decided on among them
	known func(time.Time) bool
	now   time.Time

	first  time.Time   // of the missed ones that are not in missed
	last   time.Time   //
	more   int         // how many those are
	missed []time.Time // the newest
	onTime []time.Time
	out    model.JobDecision
}

// look sorts the due times up to now into missed and on time, and moves the cursor.
func (d *decider) look() {
	from := d.skipAhead(after(d.job))
	for due := d.s.Next(from, d.job.Since); !due.IsZero() && !due.After(d.now); due = d.s.Next(due, d.job.Since) {
		d.out.Cursor = due.UTC()
		switch {
		case d.known(due):
		case d.now.Sub(due) <= Grace:
			d.onTime = append(d.onTime, due.UTC())
		default:
			d.miss(due.UTC())
		}
	}
}

// skipAhead passes over all but the newest due times where there are more than are counted, and returns where to begin.
func (d *decider) skipAhead(from time.Time) time.Time {
	first := d.s.Next(from, d.job.Since)
	due := first
	for range model.MaxCounted {
		if due.IsZero() || due.After(d.now) {
			return from
		}
		due = d.s.Next(due, d.job.Since)
	}
	at := due
	for span := time.Minute; d.now.Add(-span).After(due); span *= 2 {
		if at = d.now.Add(-span); d.enough(at) {
			break
		}
		at = due
	}
	for d.known(first) && first.Before(at) { // the record of them all needs a due time that has none
		first = d.s.Next(first, d.job.Since)
	}
	d.first, d.last, d.more = first.UTC(), at.Truncate(time.Second).UTC(), model.MaxCounted
	return at
}

// enough tells whether more due times than are recorded one by one come behind at.
func (d *decider) enough(at time.Time) bool {
	due := at
	for range model.MaxMissed + 1 {
		if due = d.s.Next(due, d.job.Since); due.IsZero() || due.After(d.now) {
			return false
		}
	}
	return true
}

func (d *decider) miss(due time.Time) {
	d.missed = append(d.missed, due)
	if len(d.missed) > model.MaxMissed {
		if d.more == 0 {
			d.first = d.missed[0]
		}
		d.more, d.last = min(d.more+1, model.MaxCounted), d.missed[0]
		d.missed = d.missed[1:]
	}
}

// late decides on the due times that were missed.
func (d *decider) late() {
	if len(d.missed) == 0 {
		return
	}
	run := 0 // the newest so many are run
	switch d.job.Spec.Misfire {
	case model.MisfireSkip:
	case model.MisfireAll:
		if run = d.job.Spec.MisfireMax; run == 0 {
			run = model.DefaultMisfireMax
		}
	default:
		if len(d.onTime) == 0 { // else that one catches up
			run = 1
		}
	}
	run = min(run, len(d.missed))
	not := len(d.missed) - run + d.more
	if d.more > 0 {
		d.record(model.JobRun{Due: d.first, Until: d.last, Count: d.more, State: model.RunMissed, Why: "pandabox did not run, or its clock jumped"})
	}
	for _, due := range d.missed[:len(d.missed)-run] {
		d.record(model.JobRun{Due: due, State: model.RunMissed, Why: "pandabox did not run, or its clock jumped"})
	}
	for _, due := range d.missed[len(d.missed)-run:] {
		d.pending(due)
	}
	if not > 0 {
		d.out.Told = fmt.Sprintf("%d due times were missed, the last at %s", not, d.lastMissed(run).In(d.s.loc).Format("2006-01-02 15:04:05 MST"))
	}
}

func (d *decider) lastMissed(run int) time.Time {
	if n := len(d.missed) - run; n > 0 {
		return d.missed[n-1]
	}
	return d.last
}

// start decides on a due time that is on time.
func (d *decider) start(due time.Time) {
	switch d.job.Spec.Concurrency {
	case model.ConcurrencyAllow:
	case model.ConcurrencyReplace:
		d.replace(due)
	default:
		if len(d.open) > 0 {
			d.record(model.JobRun{Due: due, State: model.RunSkipped, Why: "an earlier run was not over"})
			return
		}
	}
	d.pending(due)
}

// replace ends what goes on for the run of due.
func (d *decider) replace(due time.Time) {
	why := "replaced by the run of " + due.In(d.s.loc).Format("2006-01-02 15:04:05 MST")
	for _, r := range d.open {
		if r.Number == 0 {
			continue
		}
		if d.out.Ending == nil {
			d.out.Ending = map[int]string{}
		}
		d.out.Ending[r.Number] = why
	}
	for i := range d.out.Runs {
		if r := &d.out.Runs[i]; r.State == model.RunPending {
			r.State, r.Why = model.RunCanceled, why
		}
	}
}

func (d *decider) pending(due time.Time) {
	r := model.JobRun{Due: due, State: model.RunPending, StartAt: due.Add(Jitter(d.job.ID, due, d.job.Spec.Jitter.Std()))}
	d.open = append(d.open, r)
	d.record(r)
}

func (d *decider) record(r model.JobRun) { d.out.Runs = append(d.out.Runs, r) }
