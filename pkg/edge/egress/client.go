package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Config is what a Client works with.
type Config struct {
	Policy Policy
	// Resolve returns where a name that ends in .internal answers.
	Resolve func(ctx context.Context, host string) ([]netip.AddrPort, error)
	// Local returns who answers for a name that ends in .internal without a connection; nil for all others.
	Local func(host string) http.RoundTripper
	// Lookup returns the addresses of a name; nil means the system's name servers.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Own tells which addresses are this box's own; see Box.
	Own func(netip.Addr) bool
	// Roots are who may sign certificates; nil means the system's.
	Roots *x509.CertPool
}

// Bounds of one function's connections.
const (
	maxHeader    = 64 << 10 // bytes of an answer's header
	maxPerHost   = 64
	maxIdle      = 16
	idleTime     = 30 * time.Second
	handshake    = 10 * time.Second
	expectations = time.Second
)

// Client makes the requests of one function. Its connections are shared with no other.
type Client struct {
	config    Config
	transport *http.Transport
}

// New makes a Client. Close it.
func New(c Config) *Client {
	if c.Lookup == nil {
		resolver := &net.Resolver{PreferGo: true}
		c.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return resolver.LookupNetIP(ctx, "ip", host)
		}
	}
	client := &Client{config: c}
	client.transport = &http.Transport{
		Proxy:                  nil, // no variable of the daemon's leads a function elsewhere
		DialContext:            client.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		TLSHandshakeTimeout:    handshake,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		MaxConnsPerHost:        maxPerHost,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxHeader,
		ExpectContinueTimeout:  expectations,
	}
	return client
}

// RoundTrip makes one request and does not follow redirects. The answer's body is the caller's to close.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.URL == nil || r.URL.Hostname() == "":
		return nil, model.Invalid("a request needs a whole URL").WithHint(`write "https://example.com/path"`)
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return nil, model.Invalid("%s:// is not a protocol of fetch", r.URL.Scheme).WithHint("use http:// or https://")
	}
	host := r.URL.Hostname()
	if c.config.Policy.Closed() {
		return nil, c.refused(host, "the function may reach nothing")
	}
	if c.config.Local != nil && Internal(host) {
		if local := c.config.Local(host); local != nil {
			return local.RoundTrip(r)
		}
	}
	out := r.Clone(r.Context())
	out.Host = "" // the URL's: a request cannot name another virtual host than it was judged for
	out.RequestURI = ""
	resp, err := c.transport.RoundTrip(out)
	if err != nil {
		return nil, fmt.Errorf("requesting %s: %w", host, err)
	}
	return resp, nil
}

// Close closes idle connections. Answers under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
