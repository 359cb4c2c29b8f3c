package store

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestJobTreeIsMade opens a store of the schema before jobs.
func TestJobTreeIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pandabox.db")
	s, err := open(t, path, migrations()[:1])
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = open(t, path, migrations()); err != nil {
		t.Fatal(err)
	}
	if err := s.db.View(func(b *bbolt.Tx) error {
		for _, name := range []string{"jobs", "jobs.workload", "jobs.name", "runs", "runs.due", "runs.open"} {
			if b.Bucket([]byte(name)) == nil {
				return errors.New("there is no bucket " + name)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// jobbed is a store whose clock the test sets, with a workload and one job of it.
func jobbed(t *testing.T, spec model.JobSpec) (s *Store, now *time.Time, w, job string) {
	t.Helper()
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s, err := Open(filepath.Join(t.TempDir(), "pandabox.db"), Options{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	update(t, s, func(tx *Tx) error {
		ids, err := seed(tx, 1)
		if err != nil {
			return err
		}
		w = ids[0]
		wl, err := tx.Workload(w)
		if err != nil {
			return err
		}
		return tx.SetJob(wl, spec, model.JobAdded)
	})
	j := view1(t, s, func(tx *Tx) (model.Job, error) { return tx.JobNamed(w, spec.Name) })
	return s, &at, w, j.ID
}

func runsOf(t *testing.T, s *Store, job string) []model.JobRun {
	t.Helper()
	return view1(t, s, func(tx *Tx) ([]model.JobRun, error) {
		r, _, err := tx.JobRuns(job, "", 0)
		return r, err
	})
}

func decide(t *testing.T, s *Store, job string, d model.JobDecision) model.JobState {
	t.Helper()
	st, err := s.DecideJobs(t.Context(), []string{job}, func(model.JobState, func(time.Time) bool) model.JobDecision { return d })
	if err != nil {
		t.Fatal(err)
	}
	return st[0]
}

func TestOneRunForADueTime(t *testing.T) {
	s, now, _, job := jobbed(t, model.JobSpec{Name: "nightly", Schedule: "@daily", Path: "/"})
	due := now.Add(time.Hour)
	d := model.JobDecision{Runs: []model.JobRun{{Due: due, State: model.RunPending, StartAt: due}}, Cursor: due}
	for range 2 {
		if st := decide(t, s, job, d); len(st.Open) != 1 || st.Job.LastRun != 1 || !st.Job.Cursor.Equal(due) {
			t.Fatalf("%+v", st)
		}
	}
	if r := runsOf(t, s, job); len(r) != 1 || r[0].Number != 1 || r[0].ID == "" {
		t.Errorf("%+v", r)
	}
}

// TestTheClockWentBack forgets what was only missed at times that have not come, and keeps what ran.
func TestTheClockWentBack(t *testing.T) {
	s, now, _, job := jobbed(t, model.JobSpec{Name: "nightly", Schedule: "@daily", Path: "/"})
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	decide(t, s, job, model.JobDecision{Cursor: hour(9), Runs: []model.JobRun{
		{Due: hour(-2), State: model.RunMissed}, {Due: hour(-1), Until: hour(5), Count: 70, State: model.RunMissed},
		{Due: hour(6), State: model.RunMissed}, {Due: hour(7), State: model.RunSucceeded}, {Due: hour(8), State: model.RunSkipped}, {Due: hour(9), State: model.RunPending},
	}})
	st := decide(t, s, job, model.JobDecision{TakeBack: true, Cursor: *now})
	if !st.Job.Cursor.Equal(*now) || st.Job.Since.After(*now) {
		t.Errorf("%+v", st.Job)
	}
	var left []int
	for _, r := range runsOf(t, s, job) {
		left = append(left, r.Number)
		if r.Number == 2 && (!r.Until.Equal(*now) || r.Count != 0) {
			t.Errorf("what stands for many reaches to %s, %d", r.Until, r.Count)
		}
	}
	if !slices.Equal(left, []int{6, 4, 2, 1}) {
		t.Errorf("left are %v", left)
	}
}

func TestRunsAreForgotten(t *testing.T) {
	s, now, w, job := jobbed(t, model.JobSpec{Name: "nightly", Schedule: "@daily", Path: "/", KeepRuns: 3, KeepFor: model.Duration(48 * time.Hour)})
	for i := range 8 {
		state := model.RunSucceeded
		if i == 1 {
			state = model.RunRunning
		}
		decide(t, s, job, model.JobDecision{Runs: []model.JobRun{{Due: now.Add(time.Duration(i-20) * time.Minute), State: state}}, Cursor: now.Add(time.Duration(i-20) * time.Minute)})
	}
	numbers := func() (out []int) {
		for _, r := range runsOf(t, s, job) {
			out = append(out, r.Number)
		}
		return out
	}
	if got := numbers(); !slices.Equal(got, []int{8, 7, 6, 2}) {
		t.Errorf("kept are %v", got)
	}
	*now = now.Add(49 * time.Hour)
	decide(t, s, job, model.JobDecision{})
	if got := numbers(); !slices.Equal(got, []int{2}) {
		t.Errorf("kept after two days are %v", got)
	}
	update(t, s, func(tx *Tx) error {
		j, err := tx.JobNamed(w, "nightly")
		if err != nil {
			return err
		}
		return tx.DeleteJob(j, "removed", true)
	})
	if r, changed, err := s.ChangeRun(t.Context(), job, 2, func(r *model.JobRun) { r.State, r.FinishedAt = model.RunCanceled, *now }); err != nil || !changed || r.Ending != "removed" {
		t.Errorf("%+v %v %v", r, changed, err)
	}
	if _, changed, err := s.ChangeRun(t.Context(), job, 2, func(r *model.JobRun) { r.State = model.RunSucceeded }); err != nil || changed {
		t.Errorf("a run that is over was changed: %v", err)
	}
	*now = now.Add(49 * time.Hour)
	decide(t, s, job, model.JobDecision{})
	if ids, err := s.JobIDs(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("a deleted job with no runs is there still: %v %v", ids, err)
	}
}

func TestBeginRuns(t *testing.T) {
	s, now, w, job := jobbed(t, model.JobSpec{Name: "nightly", Schedule: "@daily", Command: []string{"x"}})
	update(t, s, func(tx *Tx) error {
		wl, err := tx.Workload(w)
		wl.Good = model.Target{}
		if err != nil {
			return err
		}
		return tx.PutWorkload(wl)
	})
	due := func(i int) model.JobState {
		at := now.Add(time.Duration(i) * time.Second)
		return decide(t, s, job, model.JobDecision{Runs: []model.JobRun{{Due: at, State: model.RunPending}}, Cursor: at})
	}
	begun, err := s.BeginRuns(t.Context(), due(1).Open, *now)
	if err != nil || len(begun) != 1 || begun[0].State != model.RunSkipped || begun[0].Why != "nothing is deployed yet" {
		t.Fatalf("%+v %v", begun, err)
	}
	update(t, s, func(tx *Tx) error {
		if err := tx.PutRelease(model.Release{ID: "r-7", WorkloadID: w, Number: 7}); err != nil {
			return err
		}
		wl, err := tx.Workload(w)
		wl.Good = model.Target{ReleaseID: "r-7", Generation: 1}
		if err != nil {
			return err
		}
		return tx.PutWorkload(wl)
	})
	open := due(2).Open
	for range 2 { // beginning what has begun changes nothing
		begun, err = s.BeginRuns(t.Context(), open, *now)
		if err != nil || len(begun) != 1 || begun[0].State != model.RunRunning || begun[0].Attempt != 1 || begun[0].Release != 7 || begun[0].Container != begun[0].ContainerOf(1) {
			t.Fatalf("%+v %v", begun, err)
		}
	}
	gone := model.JobRun{JobID: job, Number: 99}
	if begun, err = s.BeginRuns(t.Context(), []model.JobRun{gone}, *now); err != nil || len(begun) != 0 {
		t.Errorf("%+v %v", begun, err)
	}
}

// TestJobsComeWithTheGoodRelease makes releases good, as the controller reports them.
func TestJobsComeWithTheGoodRelease(t *testing.T) {
	s, now, w, _ := jobbed(t, model.JobSpec{Name: "mine", Schedule: "@daily", Path: "/"})
	told, changed := s.JobChanges()
	good := func(id string, specs ...model.JobSpec) []string {
		t.Helper()
		*now = now.Add(time.Hour)
		update(t, s, func(tx *Tx) error {
			if _, err := tx.Release(id); err == nil {
				return nil
			}
			return tx.PutRelease(model.Release{ID: id, WorkloadID: w, Number: len(id), Jobs: specs})
		})
		record(t, s, model.WorkloadUpdate{WorkloadID: w, Good: &model.Target{ReleaseID: id, Generation: 1}})
		var out []string
		for _, j := range view1(t, s, func(tx *Tx) ([]model.Job, error) { return tx.Jobs(w) }) {
			out = append(out, j.Spec.Name+" "+j.Spec.Schedule+" "+string(j.Source))
		}
		return out
	}
	job := func(name, schedule string) model.JobSpec {
		return model.JobSpec{Name: name, Schedule: schedule, Path: "/"}
	}
	if got := good("a-1", job("one", "@daily"), job("mine", "@hourly")); !slices.Equal(got, []string{"mine @daily added", "one @daily release"}) {
		t.Fatalf("%v", got)
	}
	select {
	case <-told:
	default:
		t.Error("the scheduler was not told")
	}
	if ids := changed(); len(ids) != 1 {
		t.Errorf("changed are %v", ids)
	}
	one := view1(t, s, func(tx *Tx) (model.Job, error) { return tx.JobNamed(w, "one") })
	update(t, s, func(tx *Tx) error {
		j := one
		if _, err := tx.AddRun(&j, model.JobRun{Due: tx.Now(), State: model.RunSucceeded}); err != nil {
			return err
		}
		_, err := tx.AddRun(&j, model.JobRun{Due: tx.Now().Add(time.Second), State: model.RunPending})
		return err
	})
	if got := good("a-22", job("two", "@daily")); !slices.Equal(got, []string{"mine @daily added", "two @daily release"}) {
		t.Fatalf("%v", got)
	}
	if r := runsOf(t, s, one.ID); len(r) != 2 || r[0].State != model.RunCanceled || r[1].State != model.RunSucceeded {
		t.Errorf("the runs of a job that went: %+v", r)
	}
	if got := good("a-1"); !slices.Equal(got, []string{"mine @daily added", "one @daily release"}) {
		t.Fatalf("%v", got)
	}
	back := view1(t, s, func(tx *Tx) (model.Job, error) { return tx.JobNamed(w, "one") })
	if back.ID != one.ID || !back.Since.Equal(*now) {
		t.Errorf("the job that came back: %+v", back)
	}
	if got := good("a-333"); !slices.Equal(got, []string{"mine @daily added"}) {
		t.Fatalf("%v", got)
	}
}
