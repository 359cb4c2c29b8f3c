package cron

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// told writes runs as "11:58 missed", and what stands for many as "10:00-11:00 missed x30".
func told(runs []model.JobRun) string {
	var out []string
	for _, r := range runs {
		text := r.Due.Format("15:04")
		if !r.Until.IsZero() {
			text += r.Until.Format("-15:04")
		}
		text += " " + string(r.State)
		if r.Count > 0 {
			text += fmt.Sprintf(" x%d", r.Count)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestStep(t *testing.T) {
	going := []model.JobRun{{Number: 7, State: model.RunRunning}}
	for _, tt := range []struct {
		what   string
		spec   model.JobSpec
		since  time.Duration // before now
		cursor time.Duration // before now; 0: none yet
		late   time.Duration // now is so long after noon
		open   []model.JobRun
		change func(*model.Job)
		want   string
		ends   int // runs that are ended
	}{
		{what: "not yet", spec: model.JobSpec{Schedule: "1 12 * * *"}, since: time.Hour, want: ""},
		{what: "on time", spec: model.JobSpec{Schedule: "0 12 * * *"}, since: time.Hour, late: time.Second, want: "12:00 pending"},
		{what: "a moment that is not after since", spec: model.JobSpec{Schedule: "0 12 * * *"}, since: 0, want: ""},
		{what: "it was decided on", spec: model.JobSpec{Schedule: "0 12 * * *"}, since: time.Hour, cursor: time.Second, late: time.Second, want: ""},
		{what: "paused", spec: model.JobSpec{Schedule: "0 12 * * *"}, since: time.Hour, change: func(j *model.Job) { j.Paused = true }, want: ""},
		{what: "deleted", spec: model.JobSpec{Schedule: "0 12 * * *"}, since: time.Hour, change: func(j *model.Job) { j.Deleted = true }, want: ""},
		{what: "an earlier one goes on", spec: model.JobSpec{Schedule: "0 12 * * *"}, since: time.Hour, open: going, want: "12:00 skipped"},
		{what: "both may run", spec: model.JobSpec{Schedule: "0 12 * * *", Concurrency: model.ConcurrencyAllow}, since: time.Hour, open: going, want: "12:00 pending"},
		{what: "the earlier one is replaced", spec: model.JobSpec{Schedule: "0 12 * * *", Concurrency: model.ConcurrencyReplace}, since: time.Hour, open: going, want: "12:00 pending", ends: 1},
		{what: "two at once, the first replaced", spec: model.JobSpec{Schedule: "59,0 59,0 11,12 * * *", Concurrency: model.ConcurrencyReplace}, since: time.Minute / 2,
			want: "11:59 canceled, 12:00 pending"},
		{what: "late: the newest", spec: model.JobSpec{Schedule: "*/10 * * * *"}, since: 25 * time.Minute, late: 5 * time.Minute, want: "11:50 missed, 12:00 pending"},
		{what: "late, and one on time", spec: model.JobSpec{Schedule: "*/10 * * * *"}, since: 25 * time.Minute, late: time.Second, want: "11:40 missed, 11:50 missed, 12:00 pending"},
		{what: "late: none", spec: model.JobSpec{Schedule: "*/10 * * * *", Misfire: model.MisfireSkip}, since: 25 * time.Minute, late: 5 * time.Minute, want: "11:50 missed, 12:00 missed"},
		{what: "late: the newest two", spec: model.JobSpec{Schedule: "*/10 * * * *", Misfire: model.MisfireAll, MisfireMax: 2}, since: 45 * time.Minute, late: 5 * time.Minute,
			want: "11:30 missed, 11:40 missed, 11:50 pending, 12:00 pending"},
		{what: "very late", spec: model.JobSpec{Schedule: "* * * * *", Misfire: model.MisfireSkip}, since: 103 * time.Minute, late: 10 * time.Second, want: "10:18-10:20 missed x3, 10:21 missed, …, 12:00 missed"},
		{what: "years late", spec: model.JobSpec{Schedule: "* * * * * *", Misfire: model.MisfireSkip}, since: 3 * 365 * 24 * time.Hour, late: 10 * time.Second,
			want: "12:00-11:58 missed x10000, 11:58 missed, …, 12:00 missed, 12:00 pending, 12:00 pending, 12:00 pending, 12:00 pending, 12:00 pending, 12:00 pending"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			now := noon.Add(tt.late)
			j := model.Job{ID: "job-1", Spec: tt.spec, Since: now.Add(-tt.since)}
			if tt.cursor != 0 {
				j.Cursor = now.Add(-tt.cursor)
			}
			if tt.change != nil {
				tt.change(&j)
			}
			s := parse(t, tt.spec.Schedule, "")
			d := Step(s, model.JobState{Job: j, Open: tt.open}, func(time.Time) bool { return false }, now)
			got := told(d.Runs)
			if first, rest, many := strings.Cut(tt.want, "…, "); many {
				if !strings.HasPrefix(got, strings.TrimSuffix(first, " ")) || !strings.Contains(got, strings.Split(rest, ",")[0]) || len(d.Runs) < model.MaxMissed+1 || len(d.Runs) > model.MaxMissed+8 {
					t.Errorf("%d runs: %.200s …", len(d.Runs), got)
				}
			} else if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if len(d.Ending) != tt.ends {
				t.Errorf("ended are %v", d.Ending)
			}
			j.Cursor = d.Cursor
			if again := Step(s, model.JobState{Job: j, Open: d.Runs}, func(time.Time) bool { return false }, now); len(d.Runs) > 0 && len(again.Runs) > 0 {
				t.Errorf("a second look decides on %s", told(again.Runs))
			}
		})
	}
}

func TestStepWhenTheClockWentBack(t *testing.T) {
	s := parse(t, "0 * * * *", "")
	j := model.Job{ID: "job-1", Since: noon.Add(-24 * time.Hour), Cursor: noon}
	known := func(due time.Time) bool { return due.Equal(noon.Add(-time.Hour)) }
	if d := Step(s, model.JobState{Job: j}, known, noon.Add(-Grace)); d.TakeBack || len(d.Runs) > 0 {
		t.Errorf("a little: %+v", d)
	}
	d := Step(s, model.JobState{Job: j}, known, noon.Add(-90*time.Minute))
	if !d.TakeBack || !d.Cursor.Equal(noon.Add(-90*time.Minute)) || d.Told == "" {
		t.Fatalf("%+v", d)
	}
	j.Cursor = d.Cursor
	if d = Step(s, model.JobState{Job: j}, known, noon.Add(-time.Hour)); len(d.Runs) != 0 || !d.Cursor.Equal(noon.Add(-time.Hour)) {
		t.Errorf("what ran runs again: %+v", d)
	}
	j.Cursor = d.Cursor
	if d = Step(s, model.JobState{Job: j}, known, noon); told(d.Runs) != "12:00 pending" {
		t.Errorf("what comes then: %+v", d)
	}
}

func TestJitterIsTheSameEachTime(t *testing.T) {
	most := 30 * time.Second
	seen := map[time.Duration]bool{}
	for i := range 100 {
		due := noon.Add(time.Duration(i) * time.Minute)
		a, b := Jitter("job-1", due, most), Jitter("job-1", due.Local(), most)
		if a != b || a < 0 || a > most {
			t.Fatalf("%s and %s", a, b)
		}
		seen[a] = true
	}
	if len(seen) < 90 {
		t.Errorf("only %d of 100 differ", len(seen))
	}
	if Jitter("job-1", noon, 0) != 0 {
		t.Error("jitter where none is asked for")
	}
}

func TestFinish(t *testing.T) {
	code := 3
	j := model.Job{Spec: model.JobSpec{Retries: 2, Backoff: model.Duration(10 * time.Second)}}
	failed := model.JobOutcome{ExitCode: &code, Why: "exited with code 3"}
	r := model.JobRun{State: model.RunRunning, Attempt: 1}
	var waits []time.Duration
	for range 3 {
		finish(j, &r, failed, nil, noon)
		if r.State != model.RunPending {
			break
		}
		waits = append(waits, r.StartAt.Sub(noon))
		r.State, r.Attempt = model.RunRunning, r.Attempt+1
	}
	if r.State != model.RunFailed || r.Attempt != 3 || !slices.Equal(waits, []time.Duration{10 * time.Second, 20 * time.Second}) || !r.FinishedAt.Equal(noon) || r.Why == "" {
		t.Errorf("%+v after %v", r, waits)
	}
	r = model.JobRun{State: model.RunRunning, Attempt: 3}
	if finish(j, &r, model.JobOutcome{}, ErrTimeout, noon); r.State != model.RunTimedOut || r.Why != "it took longer than 1 hour" {
		t.Errorf("%+v", r)
	}
	r = model.JobRun{State: model.RunRunning, Attempt: 1, Ending: "canceled by me"}
	if finish(j, &r, failed, ErrEnd, noon); r.State != model.RunCanceled || r.Why != "canceled by me" {
		t.Errorf("%+v", r)
	}
	r = model.JobRun{State: model.RunRunning, Attempt: 1, Ending: "canceled by me"}
	if finish(j, &r, model.JobOutcome{Succeeded: true, Why: "exited with code 0"}, nil, noon); r.State != model.RunSucceeded || r.Why != "" {
		t.Errorf("%+v", r)
	}
	if Backoff(model.JobSpec{Backoff: model.Duration(time.Minute)}, 50) != time.Hour {
		t.Error("the wait has no bound")
	}
}

// BenchmarkNext is the price of one look at a calendar.
func BenchmarkNext(b *testing.B) {
	s := parse(b, "30 3 * * 1-5", "Europe/Berlin")
	for b.Loop() {
		s.Next(noon, noon)
	}
}
