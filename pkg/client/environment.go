package client

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// Tracking returns what the environments of an app track.
func (c *Client) Tracking(ctx context.Context, app string) ([]api.EnvTracking, error) {
	l, err := do[api.Items[api.EnvTracking]](ctx, c, call{method: http.MethodGet, path: c.org("apps", app, "tracking")})
	return l.Items, err
}

// Track says which pushes are deployed to an environment.
func (c *Client) Track(ctx context.Context, r Ref, t model.Tracking) (api.EnvTracking, error) {
	return do[api.EnvTracking](ctx, c, call{method: http.MethodPut, path: c.workload(r, "tracking"), body: t})
}

// Protect says whether deploys to an environment have to be approved.
func (c *Client) Protect(ctx context.Context, r Ref, protected bool) (model.Environment, error) {
	return do[model.Environment](ctx, c, call{method: http.MethodPut, path: c.workload(r, "protection"), body: api.Protection{Protected: protected}})
}

// Approvals returns deploys that wait, or waited, for approval, newest first.
func (c *Client) Approvals(ctx context.Context, p api.Page) (api.List[api.Approval], error) {
	return do[api.List[api.Approval]](ctx, c, call{method: http.MethodGet, path: c.org("approvals"), query: paging(p)})
}

// Approve begins a deploy that waits for approval.
func (c *Client) Approve(ctx context.Context, id string) (api.Deploy, error) {
	return do[api.Deploy](ctx, c, call{method: http.MethodPost, path: c.org("approvals", id, "approve")})
}

// Refuse ends the waiting of a deploy without it.
func (c *Client) Refuse(ctx context.Context, id string) (api.Approval, error) {
	return do[api.Approval](ctx, c, call{method: http.MethodPost, path: c.org("approvals", id, "refuse")})
}

// PlanPromote returns what promoting from another environment to r's would do.
func (c *Client) PlanPromote(ctx context.Context, r Ref, from string) (api.Promotion, error) {
	return do[api.Promotion](ctx, c, call{method: http.MethodPost, path: c.workload(r, "promote", "plan"), body: api.Promote{From: from}})
}

// Promote deploys to r's environment what another one serves.
func (c *Client) Promote(ctx context.Context, r Ref, p api.Promote) (api.Deploy, error) {
	return do[api.Deploy](ctx, c, call{method: http.MethodPost, path: c.workload(r, "promote"), body: p, key: keyOr(p.IdempotencyKey)})
}

// Previews returns an app's environments of pull requests.
func (c *Client) Previews(ctx context.Context, app string) ([]api.AppPreview, error) {
	l, err := do[api.Items[api.AppPreview]](ctx, c, call{method: http.MethodGet, path: c.org("apps", app, "previews")})
	return l.Items, err
}

// RemovePreview removes a preview with all that is in it.
func (c *Client) RemovePreview(ctx context.Context, r Ref) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.org("apps", r.App, "previews", r.Env)})
	return err
}

// Previewing returns how an app's previews are made.
func (c *Client) Previewing(ctx context.Context, app string) (model.Previewing, error) {
	return do[model.Previewing](ctx, c, call{method: http.MethodGet, path: c.org("apps", app, "previewing")})
}

// SetPreviewing says how an app's previews are made.
func (c *Client) SetPreviewing(ctx context.Context, app string, p model.Previewing) error {
	_, err := do[none](ctx, c, call{method: http.MethodPut, path: c.org("apps", app, "previewing"), body: p})
	return err
}
