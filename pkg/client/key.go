package client

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
)

// AddSSHKey lets the holder of an SSH key push to the org's apps.
func (c *Client) AddSSHKey(ctx context.Context, n api.NewKey) (api.Key, error) {
	return do[api.Key](ctx, c, call{method: http.MethodPost, path: c.org("keys"), body: n, key: keyOr(n.IdempotencyKey)})
}

// SSHKeys returns the org's SSH keys, newest first.
func (c *Client) SSHKeys(ctx context.Context, p api.Page) (api.List[api.Key], error) {
	return do[api.List[api.Key]](ctx, c, call{method: http.MethodGet, path: c.org("keys"), query: paging(p)})
}

// RemoveSSHKey ends an SSH key at once.
func (c *Client) RemoveSSHKey(ctx context.Context, id string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.org("keys", id)})
	return err
}
