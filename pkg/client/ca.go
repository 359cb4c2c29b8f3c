package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/pandabox/pandabox/pkg/model"
)

// CA returns the certificate of the box's own CA, as PEM. A box without one answers KindNotFound.
func (c *Client) CA(ctx context.Context) ([]byte, error) {
	res, err := c.open(ctx, call{method: http.MethodGet, path: path("ca")})
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return nil, c.failed(ctx, fmt.Errorf("receiving the CA: %w", err))
	}
	if len(b) == 0 {
		return nil, model.NotFound("the box shows no CA")
	}
	return b, nil
}
