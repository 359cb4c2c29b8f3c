package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// ImportSource streams an archive of source, made by pkg/source/pack, to the box. progress, unless nil, is told from
// another goroutine how many bytes have been sent.
func (c *Client) ImportSource(ctx context.Context, r io.Reader, progress func(sent int64)) (model.Source, error) {
	return importTar[model.Source](ctx, c, c.org("sources"), "the source", r, progress)
}

// PlanSource returns how an uploaded source would be built.
func (c *Client) PlanSource(ctx context.Context, p api.PlanSource) (model.BuildPlan, error) {
	return do[model.BuildPlan](ctx, c, call{method: http.MethodPost, path: c.org("sources", "plan"), body: p})
}

// Builds returns the workload's builds, newest first.
func (c *Client) Builds(ctx context.Context, r Ref, p api.Page) (api.List[api.Build], error) {
	return do[api.List[api.Build]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "builds"), query: paging(p)})
}

// Build returns one build of the workload; with id "" its newest.
func (c *Client) Build(ctx context.Context, r Ref, id string) (api.Build, error) {
	return do[api.Build](ctx, c, call{method: http.MethodGet, path: c.workload(r, "builds", buildID(id))})
}

// CancelBuild gives a build and its deploy up.
func (c *Client) CancelBuild(ctx context.Context, r Ref, id string) (api.Build, error) {
	return do[api.Build](ctx, c, call{method: http.MethodPost, path: c.workload(r, "builds", buildID(id), "cancel")})
}

// BuildLog gives the lines of a build's log to yield, with follow until the build is over; id "" is the newest build.
// Errors of yield come back as they are. A connection that breaks while following is made anew.
func (c *Client) BuildLog(ctx context.Context, r Ref, id string, follow bool, yield func(model.BuildLine) error) error {
	seen := 0
	read := func(stands func()) error {
		q := url.Values{"skip": {strconv.Itoa(seen)}, "follow": {strconv.FormatBool(follow)}}
		return c.readRecords(ctx, call{method: http.MethodGet, path: c.workload(r, "builds", buildID(id), "log"), query: q}, stands, func(b []byte) error {
			rec, err := record[api.BuildRecord](b)
			switch {
			case err != nil:
				return err
			case rec.Problem != nil:
				return rec.Problem.Err()
			case rec.BuildLine == nil:
				return nil
			}
			seen++
			if err := yield(*rec.BuildLine); err != nil {
				return &stopped{err}
			}
			return nil
		})
	}
	return c.persist(ctx, read)
}

func buildID(id string) string {
	if id == "" {
		return "newest"
	}
	return id
}

// PruneBuilds removes the box's build cache and returns how many bytes that freed.
func (c *Client) PruneBuilds(ctx context.Context) (int64, error) {
	p, err := do[api.Pruned](ctx, c, call{method: http.MethodDelete, path: "/v1/box/build-cache"})
	return p.Bytes, err
}
