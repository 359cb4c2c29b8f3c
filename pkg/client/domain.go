package client

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
)

// Domains returns the workload's domains, the default one first.
func (c *Client) Domains(ctx context.Context, r Ref) ([]api.Domain, error) {
	l, err := do[api.Items[api.Domain]](ctx, c, call{method: http.MethodGet, path: c.workload(r, "domains")})
	return l.Items, err
}

// AddDomain routes a host to the workload. Adding one it has already is no error.
func (c *Client) AddDomain(ctx context.Context, r Ref, n api.NewDomain) (api.Domain, error) {
	return do[api.Domain](ctx, c, call{method: http.MethodPost, path: c.workload(r, "domains"), body: n})
}

// RemoveDomain ends routing a host to the workload.
func (c *Client) RemoveDomain(ctx context.Context, r Ref, host string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.workload(r, "domains", host)})
	return err
}

// SetCertificate gives a domain of the workload a certificate of the user's own.
func (c *Client) SetCertificate(ctx context.Context, r Ref, host string, cert api.Certificate) (api.Domain, error) {
	return do[api.Domain](ctx, c, call{method: http.MethodPut, path: c.workload(r, "domains", host, "certificate"), body: cert})
}
