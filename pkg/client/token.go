package client

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
)

// CreateToken makes a token of the org; its secret is told this once.
func (c *Client) CreateToken(ctx context.Context, n api.NewToken) (api.IssuedToken, error) {
	return do[api.IssuedToken](ctx, c, call{method: http.MethodPost, path: c.org("tokens"), body: n, key: keyOr(n.IdempotencyKey)})
}

// Tokens returns the org's tokens, newest first.
func (c *Client) Tokens(ctx context.Context, p api.Page) (api.List[api.Token], error) {
	return do[api.List[api.Token]](ctx, c, call{method: http.MethodGet, path: c.org("tokens"), query: paging(p)})
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.org("tokens", id)})
	return err
}
