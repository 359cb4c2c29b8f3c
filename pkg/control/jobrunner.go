package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/cron"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

var _ cron.Runner = (*JobRunner)(nil)

// JobHeader tells an app that a request comes from a job, and which.
const JobHeader = "X-Pandabox-Job"

// JobRunner does the attempts of jobs for the scheduler.
type JobRunner struct {
	c    *Control
	http *http.Client
}

// JobRunner returns the runner of c's jobs.
func (c *Control) JobRunner() *JobRunner {
	return &JobRunner{c: c, http: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Attempt implements cron.Runner.
func (j *JobRunner) Attempt(ctx context.Context, job model.Job, r model.JobRun, adopt bool) (model.JobOutcome, error) {
	if r.Container != "" {
		return j.container(ctx, job, r, adopt)
	}
	if adopt { // nobody knows how far the request came
		return model.JobOutcome{Why: "pandabox was restarted in the middle of it"}, nil
	}
	if job.Spec.Scheduled {
		return j.scheduled(ctx, job, r)
	}
	return j.request(ctx, job, r)
}

// container runs a command as a container of the release, or goes on waiting for one.
func (j *JobRunner) container(ctx context.Context, job model.Job, r model.JobRun, adopt bool) (model.JobOutcome, error) {
	rt := j.c.cfg.Jobs
	if rt == nil {
		return model.JobOutcome{}, missing("runtime")
	}
	there := false
	if adopt {
		var err error
		if there, err = j.began(ctx, r.Container); err != nil {
			return model.JobOutcome{}, err
		}
	}
	if err := ctx.Err(); err != nil && !there {
		return model.JobOutcome{}, err // it was to end before it began
	}
	if adopt && !there && j.c.now().Sub(r.StartedAt) > job.Spec.Timeout.Or(model.DefaultJobTimeout) {
		return model.JobOutcome{Why: "its container is gone: the machine or pandabox ended in the middle of it, or an older backup was put back"}, nil
	}
	if !there {
		spec, err := j.spec(ctx, job, r)
		if err != nil {
			return model.JobOutcome{}, err
		}
		if _, err := rt.Start(ctx, spec); err != nil {
			return j.ended(ctx, r, err)
		}
	}
	exit, err := rt.Wait(ctx, r.Container)
	if err != nil {
		return j.ended(ctx, r, err)
	}
	out := model.JobOutcome{Succeeded: exit.Known && exit.Code == 0 && exit.Message == "", Why: exit.String()}
	if exit.Known {
		out.ExitCode = &exit.Code
	}
	return out, nil
}

// began tells whether an attempt's container was started, whatever became of it.
func (j *JobRunner) began(ctx context.Context, name string) (bool, error) {
	all, err := j.c.cfg.Jobs.List(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(c model.Container) bool { return c.Name == name && c.State != model.ContainerCreated }), nil
}

// ended ends the container where ctx says that the attempt is to end.
func (j *JobRunner) ended(ctx context.Context, r model.JobRun, err error) (model.JobOutcome, error) {
	cause := context.Cause(ctx)
	if !errors.Is(cause, cron.ErrEnd) && !errors.Is(cause, cron.ErrTimeout) {
		return model.JobOutcome{}, err
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*model.DefaultStopGrace.Std()+30*time.Second)
	defer cancel()
	if err := j.c.cfg.Jobs.Remove(end, r.Container, model.DefaultStopGrace.Std()); err != nil {
		return model.JobOutcome{Why: cause.Error()}, err
	}
	return model.JobOutcome{Why: cause.Error()}, nil
}

// spec is the container of an attempt. Variables are opened here and nowhere else.
func (j *JobRunner) spec(ctx context.Context, job model.Job, r model.JobRun) (spec model.ContainerSpec, err error) {
	var pl place
	var release model.Release
	var own []string
	err = j.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Desired(r.WorkloadID)
		if err != nil {
			return err
		}
		if d.Workload.Deleting {
			return model.Conflict("the app is being destroyed")
		}
		if release, err = tx.ReleaseNumber(r.WorkloadID, r.Release); err != nil {
			return err
		}
		pl = place{app: d.App, env: d.Env, w: d.Workload}
		own = j.c.ownVariables(pl, &release, d.Domains)
		return nil
	})
	if err != nil {
		return spec, err
	}
	env, err := j.c.Environ(ctx, r.WorkloadID, release.ConfigVersion)
	if err != nil {
		return spec, err
	}
	spec = j.c.oneOff(pl, &release, model.ExecSpec{Command: job.Spec.Command}, slices.Concat(env, own, jobVariables(r)))
	spec.Name = r.Container
	spec.Replica.Role, spec.Replica.Process, spec.Replica.Index, spec.Replica.Attempt = model.RoleJob, job.Spec.Name, r.Number, r.Attempt
	return spec, nil
}

// jobVariables tell an attempt what it is. They come last, so that they count.
func jobVariables(r model.JobRun) []string {
	out := []string{"PANDABOX_PROCESS=job", "PANDABOX_JOB=" + r.Job, "PANDABOX_JOB_RUN=" + strconv.Itoa(r.Number), "PANDABOX_JOB_ATTEMPT=" + strconv.Itoa(r.Attempt)}
	if !r.Due.IsZero() {
		out = append(out, "PANDABOX_JOB_DUE="+r.Due.UTC().Format(time.RFC3339))
	}
	return out
}

// scheduled calls the function's scheduled handler.
func (j *JobRunner) scheduled(ctx context.Context, job model.Job, r model.JobRun) (model.JobOutcome, error) {
	d, err := j.desired(ctx, r.WorkloadID)
	if err != nil {
		return model.JobOutcome{}, err
	}
	name, err := servingFunction(d, Ref{App: d.App.Name, Env: d.Env.Name})
	if err != nil {
		return model.JobOutcome{}, err
	}
	if j.c.cfg.Functions == nil {
		return model.JobOutcome{}, missing("function host")
	}
	e := model.ScheduledEvent{Job: job.Spec.Name, ScheduledTime: r.CreatedAt}
	if !r.Due.IsZero() {
		e.Cron, e.ScheduledTime = job.Spec.Schedule, r.Due
	}
	if err := j.c.cfg.Functions.Scheduled(ctx, name, e); err != nil {
		return model.JobOutcome{}, err
	}
	return model.JobOutcome{Succeeded: true}, nil
}

// request asks the app for a path: past the ingress, of a replica that takes requests.
func (j *JobRunner) request(ctx context.Context, job model.Job, r model.JobRun) (model.JobOutcome, error) {
	d, err := j.desired(ctx, r.WorkloadID)
	if err != nil {
		return model.JobOutcome{}, err
	}
	u := j.c.urlOf(byDefault(d.Domains))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://app.internal"+job.Spec.Path, nil)
	if err != nil {
		return model.JobOutcome{}, model.Invalid("the path cannot be asked for").Wrap(err)
	}
	if at, err := url.Parse(u); err == nil && at.Host != "" {
		req.Host = at.Host
		req.Header.Set("X-Forwarded-Proto", at.Scheme)
		req.Header.Set("X-Forwarded-Host", at.Host)
	}
	req.Header.Set("User-Agent", "pandabox-job/1")
	req.Header.Set(JobHeader, job.Spec.Name)
	req.Header.Set(JobHeader+"-Run", strconv.Itoa(r.Number))
	if !r.Due.IsZero() {
		req.Header.Set(JobHeader+"-Due", r.Due.UTC().Format(time.RFC3339))
	}
	res, err := j.ask(ctx, d, req)
	if err != nil {
		return model.JobOutcome{}, err
	}
	defer func() { _ = res.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<20)) // the answer ends when the app is done
	}
	out := model.JobOutcome{Succeeded: res.StatusCode < 400 && err == nil, ExitCode: &res.StatusCode}
	switch {
	case err != nil:
		out.Why = "the answer broke off: " + err.Error()
	case !out.Succeeded:
		out.Why = fmt.Sprintf("%s answered %d", job.Spec.Path, res.StatusCode)
		if line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n"); line != "" {
			out.Why += ": " + shown(line[:min(len(line), 200)])
		}
	}
	return out, nil
}

// ask gives a request to a function, or to a healthy replica of the process that takes requests.
func (j *JobRunner) ask(ctx context.Context, d model.DesiredWorkload, req *http.Request) (*http.Response, error) {
	if d.App.Kind == model.KindFunction {
		name, err := servingFunction(d, Ref{App: d.App.Name, Env: d.Env.Name})
		if err != nil {
			return nil, err
		}
		if j.c.cfg.Functions == nil {
			return nil, missing("function host")
		}
		return j.c.cfg.Functions.Invoke(ctx, name, req)
	}
	release := cmp.Or(d.Good, d.Want)
	for _, r := range d.Status.Replicas {
		if release == nil || r.State != model.ReplicaHealthy || r.Replica.Process != model.ProcessWeb || r.Replica.Target() != d.Status.Serving || r.Addr == "" {
			continue
		}
		p, _ := release.Process(model.ProcessWeb)
		req.URL.Host = net.JoinHostPort(r.Addr, strconv.Itoa(release.PortOf(p)))
		if req.Host == "" {
			req.Host = req.URL.Host
		}
		res, err := j.http.Do(req)
		if err != nil {
			return nil, model.Errorf(model.KindUnavailable, "the app did not answer").Wrap(err)
		}
		return res, nil
	}
	return nil, model.Errorf(model.KindUnavailable, "no replica of the app is healthy")
}

func (j *JobRunner) desired(ctx context.Context, workloadID string) (d model.DesiredWorkload, err error) {
	err = j.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		d, err = tx.Desired(workloadID)
		return err
	})
	return d, err
}

// Clear implements cron.Runner. Removing a container waits for the end of its log.
func (j *JobRunner) Clear(ctx context.Context, r model.JobRun) error {
	if r.Container == "" || j.c.cfg.Jobs == nil {
		return nil
	}
	return j.c.cfg.Jobs.Remove(ctx, r.Container, 0)
}

// Sweep implements cron.Runner.
func (j *JobRunner) Sweep(ctx context.Context, keep func(string) bool) error {
	if j.c.cfg.Jobs == nil {
		return nil
	}
	all, err := j.c.cfg.Jobs.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		if c.Replica.Role == model.RoleJob && !keep(c.Name) {
			errs = append(errs, j.c.cfg.Jobs.Remove(ctx, c.Name, model.DefaultStopGrace.Std()))
		}
	}
	return errors.Join(errs...)
}
