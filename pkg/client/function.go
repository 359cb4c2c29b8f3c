package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// ImportFunction streams a function's bundle to the box. What it returns goes into the Function of a new deploy.
func (c *Client) ImportFunction(ctx context.Context, r io.Reader) (model.Bundle, error) {
	return importTar[model.Bundle](ctx, c, c.org("functions"), "the bundle", r, nil)
}

// Invoke gives a request to a function, past its domains and routes, and returns its answer whatever its status: what it
// fails with is the box's own refusal. body may be nil and is streamed. The answer's body is the caller's to close.
func (c *Client) Invoke(ctx context.Context, r Ref, v api.Invocation, body io.Reader) (*http.Response, error) {
	told, err := json.Marshal(v)
	if err != nil {
		return nil, model.Invalid("the request cannot be made").Wrap(err)
	}
	req, err := c.request(ctx, call{method: http.MethodPost, path: c.workload(r, "invoke")}, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set(api.InvocationHeader, string(told))
	req.Header.Set("Accept-Encoding", "identity") // what is in the body is between the function and its caller
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	var answer api.Invoked
	if err := json.Unmarshal([]byte(res.Header.Get(api.InvokedHeader)), &answer); err != nil || answer.Status == 0 {
		_ = res.Body.Close()
		return nil, model.Errorf(model.KindUnavailable, "%s does not say what the function answered", c.config.Address).Wrap(err).
			WithHint("is what stands before the box set up to let its API through?")
	}
	res.StatusCode, res.Header = answer.Status, answer.Headers
	res.Status = http.StatusText(answer.Status)
	if res.Header == nil {
		res.Header = http.Header{}
	}
	return res, nil
}
