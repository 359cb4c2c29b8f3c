package client

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
)

// Apps returns the org's apps by name.
func (c *Client) Apps(ctx context.Context, p api.Page) (api.List[api.App], error) {
	return do[api.List[api.App]](ctx, c, call{method: http.MethodGet, path: c.org("apps"), query: paging(p)})
}

// App returns one app.
func (c *Client) App(ctx context.Context, app string) (api.App, error) {
	return do[api.App](ctx, c, call{method: http.MethodGet, path: c.org("apps", app)})
}

// DestroyApp removes an app with all its environments, volumes and logs. It returns when that is decided: the app is
// listed with Deleting until all of it is gone.
func (c *Client) DestroyApp(ctx context.Context, app string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.org("apps", app)})
	return err
}

// DestroyEnv removes an app from one environment, like DestroyApp.
func (c *Client) DestroyEnv(ctx context.Context, r Ref) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.workload(r)})
	return err
}

// Workload returns the status of one workload with its replicas and what they use.
func (c *Client) Workload(ctx context.Context, r Ref) (api.Workload, error) {
	return do[api.Workload](ctx, c, call{method: http.MethodGet, path: c.workload(r)})
}

// Workloads returns the org's workloads by app and environment, without what they use.
func (c *Client) Workloads(ctx context.Context, p api.Page) (api.List[api.Workload], error) {
	return do[api.List[api.Workload]](ctx, c, call{method: http.MethodGet, path: c.org("workloads"), query: paging(p)})
}

// Audit returns who did what in the org, newest first.
func (c *Client) Audit(ctx context.Context, p api.Page) (api.List[api.AuditEvent], error) {
	return do[api.List[api.AuditEvent]](ctx, c, call{method: http.MethodGet, path: c.org("audit"), query: paging(p)})
}
