package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/pandabox/pandabox/pkg/api"
)

// Releases returns the workload's releases, newest first.
func (c *Client) Releases(ctx context.Context, r Ref, p api.Page) (api.List[api.Release], error) {
	return do[api.List[api.Release]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "releases"), query: paging(p)})
}

// Release returns one release by its number.
func (c *Client) Release(ctx context.Context, r Ref, number int) (api.Release, error) {
	return do[api.Release](ctx, c, call{method: http.MethodGet, path: c.workload(r, "releases", strconv.Itoa(number))})
}

// Scale sets the scale of the processes named; what a scale leaves out stays as it is.
func (c *Client) Scale(ctx context.Context, r Ref, s api.Scaling) (api.Workload, error) {
	return do[api.Workload](ctx, c, call{method: http.MethodPut, path: c.workload(r, "scale"), body: s})
}

// Variables returns the workload's variables by name.
func (c *Client) Variables(ctx context.Context, r Ref) ([]api.Variable, error) {
	l, err := do[api.Items[api.Variable]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "variables")})
	return l.Items, err
}

// SetVariables sets and unsets variables in one step.
func (c *Client) SetVariables(ctx context.Context, r Ref, change api.VariableChange) (api.VariablesChanged, error) {
	return do[api.VariablesChanged](ctx, c, call{method: http.MethodPatch, path: c.workload(r, "variables"), body: change})
}
