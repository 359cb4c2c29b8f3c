package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/pandabox/pandabox/pkg/api"
)

// Jobs returns the workload's jobs by name.
func (c *Client) Jobs(ctx context.Context, r Ref) ([]api.Job, error) {
	l, err := do[api.Items[api.Job]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "jobs")})
	return l.Items, err
}

// Job returns one job.
func (c *Client) Job(ctx context.Context, r Ref, name string) (api.Job, error) {
	return do[api.Job](ctx, c, call{method: http.MethodGet, path: c.workload(r, "jobs", name)})
}

// SetJob adds a job, or changes one that was added.
func (c *Client) SetJob(ctx context.Context, r Ref, s api.JobSpec) (api.Job, error) {
	return do[api.Job](ctx, c, call{method: http.MethodPut, path: c.workload(r, "jobs", s.Name), body: s})
}

// RemoveJob removes a job, and ends what of it runs.
func (c *Client) RemoveJob(ctx context.Context, r Ref, name string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.workload(r, "jobs", name)})
	return err
}

// PauseJob keeps a job from being due.
func (c *Client) PauseJob(ctx context.Context, r Ref, name string) error {
	_, err := do[none](ctx, c, call{method: http.MethodPost, path: c.workload(r, "jobs", name, "pause")})
	return err
}

// ResumeJob makes a paused job due again, from now on.
func (c *Client) ResumeJob(ctx context.Context, r Ref, name string) error {
	_, err := do[none](ctx, c, call{method: http.MethodPost, path: c.workload(r, "jobs", name, "resume")})
	return err
}

// RunJob starts a job once, now.
func (c *Client) RunJob(ctx context.Context, r Ref, name string) (api.JobRun, error) {
	return do[api.JobRun](ctx, c, call{method: http.MethodPost, path: c.workload(r, "jobs", name, "runs")})
}

// JobRuns returns a job's runs, newest first.
func (c *Client) JobRuns(ctx context.Context, r Ref, name string, p api.Page) (api.List[api.JobRun], error) {
	return do[api.List[api.JobRun]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "jobs", name, "runs"), query: paging(p)})
}

// JobRun returns one run of a job; number 0 is the newest.
func (c *Client) JobRun(ctx context.Context, r Ref, name string, number int) (api.JobRun, error) {
	return do[api.JobRun](ctx, c, call{method: http.MethodGet, path: c.workload(r, "jobs", name, "runs", strconv.Itoa(number))})
}

// CancelJobRun ends a run of a job.
func (c *Client) CancelJobRun(ctx context.Context, r Ref, name string, number int) (api.JobRun, error) {
	return do[api.JobRun](ctx, c, call{method: http.MethodPost, path: c.workload(r, "jobs", name, "runs", strconv.Itoa(number), "cancel")})
}

// ExplainSchedule says a schedule in words; timezone "" is UTC.
func (c *Client) ExplainSchedule(ctx context.Context, schedule, timezone string) (api.Schedule, error) {
	q := url.Values{"schedule": {schedule}}
	if timezone != "" {
		q.Set("timezone", timezone)
	}
	return do[api.Schedule](ctx, c, call{method: http.MethodGet, path: path("schedule"), query: q})
}
