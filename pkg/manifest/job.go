package manifest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

var (
	jobKeys  = []string{"name", "schedule", "timezone", "command", "path", "scheduled", "timeout", "retries", "backoff", "concurrency", "misfire", "misfire_max", "jitter", "keep", "environments"}
	keepKeys = []string{"runs", "age"}
)

// job is a [[job]] and the environments it is for; none means every one.
type job struct {
	spec model.JobSpec
	envs []string
}

// jobsFor returns the jobs of an environment, nil where no file says which there are.
func (m *Manifest) jobsFor(env string) *[]model.JobSpec {
	if m.jobs == nil {
		return nil
	}
	out := []model.JobSpec{}
	for _, j := range m.jobs {
		if len(j.envs) == 0 || slices.Contains(j.envs, env) {
			out = append(out, j.spec)
		}
	}
	return &out
}

// jobs reads [[job]]. It is not nil.
func jobs(root table, kind model.AppKind) []job {
	out := []job{}
	for _, t := range root.tables("job", `name = "nightly"`) {
		j := readJob(t, kind)
		if slices.ContainsFunc(out, func(o job) bool { return o.spec.Name == j.spec.Name }) {
			t.fail("name", model.Invalid("there is a job %q already", j.spec.Name).WithHint("give each a name of its own"))
		}
		out = append(out, j)
	}
	if len(out) > model.MaxJobs {
		root.fail("job", model.Invalid("there are %d jobs", len(out)).WithHint("at most %d fit", model.MaxJobs))
	}
	return out
}

func readJob(t table, kind model.AppKind) job {
	t.only(jobKeys...)
	keep := t.table("keep", `{ runs = 100, age = "90d" }`)
	keep.only(keepKeys...)
	j := job{envs: t.texts("environments", `["production"]`), spec: model.JobSpec{
		Name: t.text("name", `"nightly"`), Schedule: t.text("schedule", `"0 3 * * *"`), Timezone: t.text("timezone", `"Europe/Berlin"`),
		Path: t.text("path", `"/tasks/tidy"`), Scheduled: t.yes("scheduled"),
		Timeout: t.duration("timeout", "1h"), Retries: t.whole("retries", 2), Backoff: t.duration("backoff", "10s"),
		Concurrency: model.JobConcurrency(t.text("concurrency", `"forbid"`)), Misfire: model.JobMisfire(t.text("misfire", `"once"`)),
		MisfireMax: t.whole("misfire_max", 10), Jitter: t.duration("jitter", "30s"), KeepRuns: keep.whole("runs", 100), KeepFor: keep.days("age", "90d"),
	}}
	if t.has("command") {
		j.spec.Command = readCommand(t)
	}
	for _, env := range j.envs {
		t.fail("environments", model.CheckName("environment", env))
	}
	if kind == model.KindFunction {
		if t.has("command") {
			t.fail("command", model.Invalid("a function has no containers, so its job cannot run a command").WithHint("leave it out: the job calls the function's scheduled handler; or give it a path"))
		}
		j.spec.Scheduled = j.spec.Scheduled || j.spec.Path == ""
	} else if j.spec.Scheduled {
		t.fail("scheduled", model.Invalid("only a function has a scheduled handler").WithHint("give the job a command, or a path of the app"))
	}
	if kind == model.KindWorker && j.spec.Path != "" {
		t.fail("path", model.Invalid("a worker answers no requests").WithHint("give the job a command"))
	}
	t.failJob(j.spec.Validate())
	return j
}

// failJob puts a fault of a job to the key it belongs to.
func (t table) failJob(err error) {
	var at *model.JobError
	if !errors.As(err, &at) {
		return
	}
	switch key, below, nested := strings.Cut(at.Field, "."); {
	case nested && t.has(key):
		t.table(key, "").fail(below, at.Err)
	case t.has(key):
		t.fail(key, at.Err)
	default:
		t.r.fail(t.path, at.Err)
	}
}

// days reads a length of time that may be given in days: "90d".
func (t table) days(key, example string) model.Duration {
	if text, ok := t.values[key].(string); ok {
		if n, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") && n > 0 && n < 10_000 {
			return model.Duration(time.Duration(n) * 24 * time.Hour)
		}
	}
	return t.duration(key, example)
}
