package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// OneJob is the part of a path that names a job of a workload.
type OneJob struct {
	InEnv
	Job string `path:"job" maxLength:"40" doc:"the job's name"`
}

// OneJobRun is the part of a path that names a run of a job.
type OneJobRun struct {
	OneJob
	Number int `path:"number" minimum:"0" doc:"the run's number; 0: the newest"`
}

func (a *API) registerJobs() {
	const path, tag = envPath + "/jobs", "jobs"
	handle(a, needs(identity.AppRead), op{id: "listJobs", method: http.MethodGet, path: path, tag: tag, summary: "List a workload's jobs"},
		func(ctx context.Context, c caller, in *InEnv) (*body[api.Items[api.Job]], error) {
			l, err := a.control.Jobs.List(ctx, c.Actor, in.ref())
			return answer(itemsOf(l, wireJob), err)
		})
	handle(a, needs(identity.AppRead), op{id: "getJob", method: http.MethodGet, path: path + "/{job}", tag: tag, summary: "Show a job"},
		func(ctx context.Context, c caller, in *OneJob) (*body[api.Job], error) {
			j, err := a.control.Jobs.Get(ctx, c.Actor, in.ref(), in.Job)
			return answer(wireJob(j), err)
		})
	handle(a, needs(identity.JobWrite), op{id: "setJob", method: http.MethodPut, path: path + "/{job}", tag: tag, summary: "Add a job, or change one that was added"},
		func(ctx context.Context, c caller, in *struct {
			OneJob
			Body api.JobSpec
		}) (*body[api.Job], error) {
			if in.Body.Name != in.Job {
				return nil, model.Invalid("the job is called %q in the address and %q in the body", in.Job, in.Body.Name).WithHint("write the same name twice")
			}
			j, err := a.control.Jobs.Set(ctx, c.Actor, in.ref(), in.Body)
			return answer(wireJob(j), err)
		})
	handle(a, needs(identity.JobWrite), op{id: "removeJob", method: http.MethodDelete, path: path + "/{job}", tag: tag, summary: "Remove a job, and end what of it runs", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *OneJob) (*struct{}, error) {
			return nil, a.control.Jobs.Remove(ctx, c.Actor, in.ref(), in.Job)
		})
	handle(a, needs(identity.JobWrite), op{id: "pauseJob", method: http.MethodPost, path: path + "/{job}/pause", tag: tag, summary: "Keep a job from being due", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *OneJob) (*struct{}, error) {
			return nil, a.control.Jobs.Pause(ctx, c.Actor, in.ref(), in.Job)
		})
	handle(a, needs(identity.JobWrite), op{id: "resumeJob", method: http.MethodPost, path: path + "/{job}/resume", tag: tag, summary: "Make a paused job due again, from now on", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *OneJob) (*struct{}, error) {
			return nil, a.control.Jobs.Resume(ctx, c.Actor, in.ref(), in.Job)
		})
	a.registerJobRuns()
	handle(a, needs(identity.BoxRead), op{id: "explainSchedule", method: http.MethodGet, path: "/v1/schedule", tag: tag, summary: "Say a schedule in words, with its next due times"},
		func(_ context.Context, _ caller, in *struct {
			Schedule string `query:"schedule" required:"true" maxLength:"200" example:"0 3 * * 1-5"`
			Timezone string `query:"timezone" maxLength:"100" example:"Europe/Berlin" doc:"default: UTC"`
		}) (*body[api.Schedule], error) {
			e, err := a.control.Jobs.Explain(in.Schedule, in.Timezone)
			return answer(api.Schedule(e), err)
		})
}

func (a *API) registerJobRuns() {
	const path, tag = envPath + "/jobs/{job}/runs", "jobs"
	handle(a, needs(identity.JobRun), op{id: "runJob", method: http.MethodPost, path: path, tag: tag, summary: "Start a job once, now", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *OneJob) (*body[api.JobRun], error) {
			return answer(a.control.Jobs.Run(ctx, c.Actor, in.ref(), in.Job))
		})
	handle(a, needs(identity.AppRead), op{id: "listJobRuns", method: http.MethodGet, path: path, tag: tag, summary: "List a job's runs, newest first"},
		func(ctx context.Context, c caller, in *struct {
			OneJob
			Paged
		}) (*body[api.List[api.JobRun]], error) {
			l, err := a.control.Jobs.Runs(ctx, c.Actor, in.ref(), in.Job, in.page())
			return answer(listOf(l, func(r model.JobRun) api.JobRun { return r }), err)
		})
	handle(a, needs(identity.AppRead), op{id: "getJobRun", method: http.MethodGet, path: path + "/{number}", tag: tag, summary: "Show a run of a job"},
		func(ctx context.Context, c caller, in *OneJobRun) (*body[api.JobRun], error) {
			return answer(a.control.Jobs.GetRun(ctx, c.Actor, in.ref(), in.Job, in.Number))
		})
	handle(a, needs(identity.JobRun), op{id: "cancelJobRun", method: http.MethodPost, path: path + "/{number}/cancel", tag: tag, summary: "End a run of a job", status: http.StatusAccepted},
		func(ctx context.Context, c caller, in *OneJobRun) (*body[api.JobRun], error) {
			return answer(a.control.Jobs.Cancel(ctx, c.Actor, in.ref(), in.Job, in.Number))
		})
}

func wireJob(j control.Job) api.Job { return api.Job(j) }
