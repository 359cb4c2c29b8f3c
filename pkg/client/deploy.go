package client

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
)

// CreateDeploy makes a release and begins its deploy; see WatchDeploy for how it goes.
func (c *Client) CreateDeploy(ctx context.Context, r Ref, n api.NewDeploy) (api.Deploy, error) {
	return do[api.Deploy](ctx, c, call{method: http.MethodPost, path: c.workload(r, "deploys"), body: n, key: keyOr(n.IdempotencyKey)})
}

// Deploys returns the workload's deploys, newest first.
func (c *Client) Deploys(ctx context.Context, r Ref, p api.Page) (api.List[api.Deploy], error) {
	return do[api.List[api.Deploy]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "deploys"), query: paging(p)})
}

// Deploy returns one deploy of the workload.
func (c *Client) Deploy(ctx context.Context, r Ref, id string) (api.Deploy, error) {
	return do[api.Deploy](ctx, c, call{method: http.MethodGet, path: c.workload(r, "deploys", id)})
}

// CancelDeploy asks to give a deploy up and go back to what served. It is over when WatchDeploy says so.
func (c *Client) CancelDeploy(ctx context.Context, r Ref, id string) (api.Deploy, error) {
	return do[api.Deploy](ctx, c, call{method: http.MethodPost, path: c.workload(r, "deploys", id, "cancel")})
}

// Rollback begins a deploy of an earlier release.
func (c *Client) Rollback(ctx context.Context, r Ref, b api.Rollback) (api.Deploy, error) {
	return do[api.Deploy](ctx, c, call{method: http.MethodPost, path: c.workload(r, "rollback"), body: b, key: keyOr(b.IdempotencyKey)})
}

// Restart begins a deploy that replaces every replica by a fresh one of the same release.
func (c *Client) Restart(ctx context.Context, r Ref, o api.DeployOptions) (api.Deploy, error) {
	return do[api.Deploy](ctx, c, call{method: http.MethodPost, path: c.workload(r, "restart"), body: o, key: keyOr(o.IdempotencyKey)})
}
