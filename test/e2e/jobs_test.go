package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// runs returns a job's runs, newest first.
func (w *world) runs(app, job string) []api.JobRun {
	w.Helper()
	l, err := w.api.JobRuns(w.Context(), ref(app), job, api.Page{Limit: api.MaxLimit})
	if err != nil {
		w.Fatal(err)
	}
	return l.Items
}

// lastRun returns a job's newest run once it is over.
func (w *world) lastRun(app, job string) (r api.JobRun) {
	w.Helper()
	w.eventually("the end of a run", func() bool {
		all := w.runs(app, job)
		if len(all) > 0 {
			r = all[0]
		}
		return len(all) > 0 && r.State.Final()
	})
	return r
}

func count(runs []api.JobRun, s model.JobRunState) (n int) {
	for _, r := range runs {
		if r.State == s {
			n++
		}
	}
	return n
}

// TestJobRunsEverySecond runs a command each second, pauses it, goes on and removes it.
func TestJobRunsEverySecond(t *testing.T) {
	w := start(t)
	w.succeed("shop", vars(w.image(), "VERSION=1", "GREETING=hello"))
	out := w.cli(0, "job", "add", "tick", "* * * * * *", "-a", "shop", "--", "/testapp", "echo", "tick").Out
	if !strings.Contains(out, "every second, UTC") {
		t.Fatalf("job add says\n%s", out)
	}
	w.eventually("three runs", func() bool { return count(w.runs("shop", "tick"), model.RunSucceeded) >= 3 })
	w.cli(0, "job:pause", "tick", "-a", "shop")
	w.eventually("quiet", func() bool {
		return !slices.ContainsFunc(w.runs("shop", "tick"), func(r api.JobRun) bool { return !r.State.Final() })
	})
	paused := w.runs("shop", "tick")
	seen := map[time.Time]bool{}
	for _, r := range paused {
		if seen[r.Due] || r.Due.IsZero() {
			t.Errorf("two runs of %s", r.Due)
		}
		seen[r.Due] = true
		if r.State == model.RunSucceeded && (r.ExitCode == nil || *r.ExitCode != 0 || r.Release != 1) {
			t.Errorf("a run that succeeded: %+v", r)
		}
	}
	ran := slices.IndexFunc(paused, func(r api.JobRun) bool { return r.State == model.RunSucceeded })
	var text []string
	q := api.LogQuery{Container: paused[ran].Container, Tail: -1}
	if err := w.api.Logs(t.Context(), ref("shop"), q, func(l model.LogLine) error { text = append(text, l.Process+": "+l.Text); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(text, []string{"tick: tick"}) {
		t.Errorf("the run printed %q", text)
	}
	if list := w.cli(0, "jobs", "-a", "shop").Out; !strings.Contains(list, "paused") {
		t.Errorf("job list says\n%s", list)
	}
	var show api.Job
	if err := json.Unmarshal([]byte(w.cli(0, "job", "show", "tick", "-a", "shop", "--json").Out), &show); err != nil || !show.Paused || len(show.Next) != 0 {
		t.Errorf("job show: %+v %v", show, err)
	}
	time.Sleep(2 * time.Second) // nothing may happen: there is no condition to wait for
	if n := len(w.runs("shop", "tick")); n != len(paused) {
		t.Errorf("%d runs while it is paused", n-len(paused))
	}
	w.cli(0, "job", "resume", "tick", "-a", "shop")
	w.eventually("a run again", func() bool { return len(w.runs("shop", "tick")) > len(paused) })
	w.cli(0, "job", "remove", "tick", "-a", "shop")
	w.cli(4, "job", "history", "tick", "-a", "shop")
	w.eventually("no container", func() bool { return len(w.jobContainers()) == 0 })
	w.answers("shop", "/", "shop 1")
}

// jobContainers returns the processes of jobs that run in this box's containers.
func (w *world) jobContainers() (out []string) {
	for id := range w.replicas() {
		if strings.Contains(id, "-run-") {
			out = append(out, id)
		}
	}
	return out
}

// TestJobFails tries again, gives up, tells why, and is ended when it takes too long or somebody says so.
func TestJobFails(t *testing.T) {
	w := start(t)
	w.succeed("shop", vars(w.image(), "VERSION=1"))
	w.cli(0, "job", "add", "bad", "@every 1h", "-a", "shop", "--retries", "2", "--backoff", "100ms", "--", "/testapp", "exit", "3")
	r := w.cli(1, "job", "run", "bad", "-a", "shop")
	if !strings.Contains(r.Err, "run 1 of bad failed") || !strings.Contains(r.Err, "exited with code 3") {
		t.Errorf("job run says\n%s", r.Err)
	}
	if last := w.lastRun("shop", "bad"); last.State != model.RunFailed || last.Attempt != 3 || last.ExitCode == nil || *last.ExitCode != 3 || last.By == "" {
		t.Errorf("the run: %+v", last)
	}
	told := errors.New("told")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := w.api.Events(ctx, 0, func(e model.Event) error {
		if e.Kind == "job" && e.State == "failed" && strings.Contains(e.Detail, "bad of shop in production") {
			return told
		}
		return nil
	})
	if !errors.Is(err, told) {
		t.Errorf("no event tells of the failure: %v", err)
	}

	w.cli(0, "job", "add", "slow", "@every 1h", "-a", "shop", "--time-limit", "1s", "--", "/testapp", "worker")
	w.cli(1, "job", "run", "slow", "-a", "shop")
	if last := w.lastRun("shop", "slow"); last.State != model.RunTimedOut || last.Why != "it took longer than 1 second" {
		t.Errorf("the run: %+v", last)
	}
	w.cli(0, "job", "add", "slow", "@every 1h", "-a", "shop", "--", "/testapp", "worker")
	w.cli(0, "job", "run", "slow", "-a", "shop", "--detach")
	w.eventually("its container", func() bool { return len(w.jobContainers()) == 1 })
	w.cli(1, "job", "run", "slow", "-a", "shop")
	w.cli(0, "job", "cancel", "slow", "-a", "shop")
	if last := w.lastRun("shop", "slow"); last.State != model.RunCanceled || !strings.HasPrefix(last.Why, "canceled by") {
		t.Errorf("the run: %+v", last)
	}
	w.eventually("no container", func() bool { return len(w.jobContainers()) == 0 })

	w.cli(2, "job", "add", "never", "0 3 31 2 *", "-a", "shop", "--", "/testapp")
	w.cli(2, "job", "add", "odd", "61 * * * *", "-a", "shop", "--", "/testapp")
	w.cli(2, "job", "add", "odd", "* * * * *", "--tz", "Mars/Base", "-a", "shop", "--", "/testapp")
	w.cli(2, "job", "add", "odd", "* * * * *", "-a", "shop")
	w.cli(2, "job", "add", "odd", "* * * * *", "--scheduled", "-a", "shop")
}

// TestJobAsks has jobs ask the app for a path, and tells of answers that are failures.
func TestJobAsks(t *testing.T) {
	w := start(t)
	w.succeed("shop", vars(w.image(), "VERSION=1"))
	w.cli(0, "job", "add", "good", "@every 1s", "-a", "shop", "--path", "/")
	w.eventually("a due run", func() bool { return count(w.runs("shop", "good"), model.RunSucceeded) > 0 })
	w.cli(0, "job", "add", "lost", "@every 1h", "-a", "shop", "--path", "/storage/nothing")
	w.cli(1, "job", "run", "lost", "-a", "shop")
	if last := w.lastRun("shop", "lost"); last.State != model.RunFailed || last.ExitCode == nil || *last.ExitCode != 404 {
		t.Errorf("the run: %+v", last)
	}
}

// TestJobOutlivesTheDaemon kills the daemon while a container of a job runs: the next one waits for that very container
// and records how it ended.
func TestJobOutlivesTheDaemon(t *testing.T) {
	w := start(t)
	w.succeed("shop", vars(w.image(), "VERSION=1"))
	w.cli(0, "job", "add", "long", "@every 1h", "-a", "shop", "--", "/testapp", "worker")
	w.cli(0, "job", "run", "long", "-a", "shop", "--detach")
	worker := func() []int { return pidsOf(t, func(c string) bool { return c == "/testapp worker " }) }
	w.eventually("its process", func() bool { return len(worker()) == 1 })
	before := worker()
	for range 2 {
		if err := w.box.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := w.box.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := worker(); !slices.Equal(before, after) {
		t.Fatalf("its process was %v, is %v", before, after)
	}
	if r := w.runs("shop", "long"); len(r) != 1 || r[0].State != model.RunRunning || r[0].Attempt != 1 {
		t.Fatalf("the runs: %+v", r)
	}
	if err := syscall.Kill(before[0], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if last := w.lastRun("shop", "long"); last.State != model.RunSucceeded || last.Attempt != 1 || last.Number != 1 {
		t.Errorf("the run: %+v", last)
	}
	w.eventually("no container", func() bool { return len(w.jobContainers()) == 0 })

	// One that ends while no daemon runs.
	w.cli(0, "job", "run", "long", "-a", "shop", "--detach")
	w.eventually("its process", func() bool { return len(worker()) == 1 })
	if err := w.box.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(worker()[0], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.eventually("its end", func() bool { return len(worker()) == 0 })
	if err := w.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := w.lastRun("shop", "long"); last.Number != 2 || last.Attempt != 1 {
		t.Errorf("the run: %+v", last)
	}
}

// TestJobsOfARelease come into force with it, and go back with it.
func TestJobsOfARelease(t *testing.T) {
	w := start(t)
	img := w.image()
	with := func(specs ...model.JobSpec) api.NewDeploy {
		n := vars(img, "VERSION=1")
		n.Jobs = &specs
		return n
	}
	names := func() (out []string) {
		all, err := w.api.Jobs(t.Context(), ref("shop"))
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range all {
			out = append(out, j.Spec.Name+" "+j.Spec.Schedule)
		}
		return out
	}
	echo := []string{"/testapp", "echo", "hi"}
	w.succeed("shop", with(model.JobSpec{Name: "one", Schedule: "@every 1s", Command: echo}, model.JobSpec{Name: "two", Schedule: "@daily", Command: echo}))
	w.eventually("a run", func() bool { return count(w.runs("shop", "one"), model.RunSucceeded) > 0 })
	w.cli(0, "job", "add", "mine", "@daily", "-a", "shop", "--path", "/")
	w.cli(1, "job", "remove", "one", "-a", "shop")
	w.cli(1, "job", "add", "one", "@daily", "-a", "shop", "--path", "/")
	w.succeed("shop", with(model.JobSpec{Name: "two", Schedule: "@hourly", Command: echo}, model.JobSpec{Name: "three", Schedule: "@daily", Command: echo}))
	if got := names(); !slices.Equal(got, []string{"mine @daily", "three @daily", "two @hourly"}) {
		t.Errorf("the jobs of v2: %v", got)
	}
	w.cli(0, "rollback", "-a", "shop")
	if got := names(); !slices.Equal(got, []string{"mine @daily", "one @every 1s", "two @daily"}) {
		t.Errorf("the jobs of v1: %v", got)
	}
	was := len(w.runs("shop", "one"))
	if was == 0 {
		t.Error("its history is gone")
	}
	w.eventually("a run again", func() bool { return len(w.runs("shop", "one")) > was })
	_, err := w.api.CreateDeploy(t.Context(), ref("shop"), with(model.JobSpec{Name: "mine", Schedule: "@daily", Command: echo}))
	if e := asError(t, err); e.Kind != model.KindConflict || !strings.Contains(e.What, "mine") {
		t.Errorf("a name that was added by hand: %+v", e)
	}
	_, err = w.api.CreateDeploy(t.Context(), ref("shop"), with(model.JobSpec{Name: "odd", Schedule: "0 99 * * *", Command: echo}))
	if e := asError(t, err); e.Kind != model.KindInvalid || !strings.Contains(e.What, "job odd, schedule") || e.Hint == "" {
		t.Errorf("a schedule nobody can read: %+v", e)
	}
	if err := w.api.DestroyApp(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the end of it", func() bool { return len(w.replicas()) == 0 })
}

// TestJobCallsAFunction calls a function's scheduled handler, and tells of one that throws.
func TestJobCallsAFunction(t *testing.T) {
	w := start(t)
	n := w.function(`export default {
  fetch() { return new Response("hi"); },
  async scheduled(event, env, ctx) {
    if (event.cron === "") throw new Error("started by hand");
    console.log("due by " + event.cron);
  },
};`)
	n.Jobs = &[]model.JobSpec{{Name: "beat", Schedule: "@every 1s"}}
	w.succeed("fn", n)
	w.eventually("a due run", func() bool { return count(w.runs("fn", "beat"), model.RunSucceeded) > 0 })
	w.cli(0, "job", "pause", "beat", "-a", "fn")
	w.eventually("quiet", func() bool {
		return !slices.ContainsFunc(w.runs("fn", "beat"), func(r api.JobRun) bool { return !r.State.Final() })
	})
	w.cli(1, "job", "run", "beat", "-a", "fn")
	if last := w.lastRun("fn", "beat"); last.State != model.RunFailed || !strings.Contains(last.Why, "started by hand") {
		t.Errorf("the run: %+v", last)
	}
	if out := w.cli(0, "logs", "-a", "fn").Out; !strings.Contains(out, "due by @every 1s") {
		t.Errorf("the function printed\n%s", out)
	}
	w.cli(2, "job", "add", "odd", "@daily", "-a", "fn", "--", "/bin/true")
}
