package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// Info describes the box.
func (c *Client) Info(ctx context.Context) (api.Box, error) {
	return do[api.Box](ctx, c, call{method: http.MethodGet, path: path("box")})
}

// Claim exchanges the secret of a claim link for an owner's token, whose secret is told this once. name "" means owner.
func (c *Client) Claim(ctx context.Context, secret, name string) (api.IssuedToken, error) {
	return do[api.IssuedToken](ctx, c, call{method: http.MethodPost, path: path("claim"), body: api.Claim{Secret: secret, Name: name}})
}

// NewClaim makes a claim link. Root on the box only.
func (c *Client) NewClaim(ctx context.Context) (api.ClaimLink, error) {
	return do[api.ClaimLink](ctx, c, call{method: http.MethodPost, path: path("box", "claim")})
}

// Doctor looks at everything the box needs to work.
func (c *Client) Doctor(ctx context.Context) ([]api.Check, error) {
	l, err := do[api.Items[api.Check]](ctx, c, call{method: http.MethodGet, path: path("box", "doctor")})
	return l.Items, err
}

// Backup writes an archive of the box's control state to w. After an error what was written is no backup.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	res, err := c.open(ctx, call{method: http.MethodGet, path: path("box", "backup")})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	dst := &target{w: w}
	if _, err := io.Copy(dst, res.Body); dst.err != nil {
		return model.Errorf(model.KindOf(dst.err), "the backup could not be written").Wrap(dst.err)
	} else if err != nil {
		return c.failed(ctx, fmt.Errorf("receiving the backup: %w", err))
	}
	return nil
}

// target tells an error of the writer from one of the reader.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(b []byte) (int, error) {
	n, err := t.w.Write(b)
	t.err = err
	return n, err
}
