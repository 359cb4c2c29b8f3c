package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// maxAnswer bounds an answer that is read whole, in bytes.
const maxAnswer = 64 << 20

// call is one request to come.
type call struct {
	method string
	path   string // escaped, below the address
	query  url.Values
	body   any    // sent as JSON; nil: none
	key    string // Idempotency-Key; "" for none
}

// path joins segments, each escaped, to a path under /v1.
func path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// org returns a path below the client's org.
func (c *Client) org(segments ...string) string {
	return path(append([]string{"orgs", c.config.Org}, segments...)...)
}

// workload returns a path below a workload.
func (c *Client) workload(r Ref, segments ...string) string {
	if r.Env == "" {
		r.Env = "production"
	}
	return c.org(append([]string{"apps", r.App, "envs", r.Env}, segments...)...)
}

func paging(p api.Page) url.Values {
	q := url.Values{}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.After != "" {
		q.Set("after", p.After)
	}
	return q
}

// keyOr returns key, or a fresh one: with it net/http may repeat a request whose connection broke.
func keyOr(key string) string {
	if key != "" {
		return key
	}
	return rand.Text()
}

// do makes a call and decodes its answer.
func do[T any](ctx context.Context, c *Client, k call) (T, error) {
	res, err := c.open(ctx, k) //nolint:bodyclose // decode closes it
	if err != nil {
		var zero T
		return zero, err
	}
	return decode[T](ctx, c, res)
}

// decode reads an answer and closes it.
func decode[T any](ctx context.Context, c *Client, res *http.Response) (T, error) {
	var out T
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusNoContent {
		return out, nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&out); err != nil {
		return out, c.failed(ctx, fmt.Errorf("reading the answer: %w", err))
	}
	return out, nil
}

// none is the answer of a call that has none.
type none struct{}

// open makes a call and returns its answer, whose body the caller closes. An answer that is no success is an error.
func (c *Client) open(ctx context.Context, k call) (*http.Response, error) {
	var body io.Reader
	if k.body != nil {
		b, err := json.Marshal(k.body)
		if err != nil {
			return nil, model.Errorf(model.KindInternal, "the request cannot be written").Wrap(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := c.request(ctx, k, body)
	if err != nil {
		return nil, err
	}
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.send(req)
}

func (c *Client) request(ctx context.Context, k call, body io.Reader) (*http.Request, error) {
	u := c.base.String() + k.path
	if len(k.query) > 0 {
		u += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, u, body)
	if err != nil {
		return nil, model.Invalid("the request cannot be made").Wrap(err)
	}
	c.headers(req.Header)
	if k.key != "" {
		req.Header.Set("Idempotency-Key", k.key)
	}
	return req, nil
}

func (c *Client) headers(h http.Header) {
	h.Set("User-Agent", c.config.UserAgent)
	h.Set("Accept", "application/json")
	if c.config.Token != "" {
		h.Set("Authorization", "Bearer "+c.config.Token)
	}
}

func (c *Client) send(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(req.Context(), err)
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, c.refused(res)
}
