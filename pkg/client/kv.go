package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// Keys returns the keys of the environment's store that begin with prefix, in order. r names the environment by any app
// of it.
func (c *Client) Keys(ctx context.Context, r Ref, prefix string, p api.Page) (api.List[api.KVKey], error) {
	q := paging(p)
	if prefix != "" {
		q.Set("prefix", prefix)
	}
	return do[api.List[api.KVKey]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "kv"), query: q})
}

// Key returns the value of a key. KindNotFound when there is none.
func (c *Client) Key(ctx context.Context, r Ref, key string) ([]byte, error) {
	res, err := c.open(ctx, call{method: http.MethodGet, path: c.key(r, key)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	value, err := io.ReadAll(io.LimitReader(res.Body, api.MaxKVValue+1))
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	return value, nil
}

// PutKey writes a key of at most api.MaxKVValue bytes, to be forgotten after ttl where that is not zero.
func (c *Client) PutKey(ctx context.Context, r Ref, key string, value []byte, ttl time.Duration) error {
	k := call{method: http.MethodPut, path: c.key(r, key)}
	if ttl != 0 {
		k.query = url.Values{"ttl": {model.Duration(ttl).String()}}
	}
	req, err := c.request(ctx, k, bytes.NewReader(value))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	res, err := c.send(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// DeleteKey removes a key. None there is no error.
func (c *Client) DeleteKey(ctx context.Context, r Ref, key string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.key(r, key)})
	return err
}

// key returns the path of a key. A key of dots alone is escaped too: servers take them for steps in a path.
func (c *Client) key(r Ref, key string) string {
	path := c.workload(r, "kv", key)
	if key == "." || key == ".." {
		path = strings.TrimSuffix(path, key) + strings.ReplaceAll(key, ".", "%2E")
	}
	return path
}
