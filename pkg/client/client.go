package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// DefaultSocket is where a box listens for root on itself.
const DefaultSocket = "unix:///run/pandabox/pandabox.sock"

// Config says which box, and who asks.
type Config struct {
	Address   string // "unix:///path/to.sock", "https://host[:port]" or "http://host[:port]"; "" means DefaultSocket
	Token     string // the secret of a token; "" for root on the box's own socket, and for Claim
	CA        []byte // PEM: roots trusted besides the system's, for a box with certificates of its own CA
	Org       string // "" means model.DefaultOrg
	UserAgent string // "" means "pandabox-client"
}

// Client calls one box in the name of one org. It may be used by several goroutines at once.
type Client struct {
	config Config
	base   *url.URL // without a path
	unix   string   // path of the socket, "" over TCP
	http   *http.Client
	ws     *http.Client // speaks HTTP/1.1 only, as a WebSocket's opening does
}

// Ref names a workload: an app in an environment of the client's org.
type Ref struct {
	App string
	Env string // "" means production
}

// New makes a client. It does not connect yet.
func New(config Config) (*Client, error) {
	if config.Address == "" {
		config.Address = DefaultSocket
	}
	if config.Org == "" {
		config.Org = model.DefaultOrg
	}
	if config.UserAgent == "" {
		config.UserAgent = "pandabox-client"
	}
	c := &Client{config: config}
	u, err := url.Parse(config.Address)
	bad := model.Invalid("%q is not the address of a box", config.Address).WithHint("write https://HOST, or unix:///PATH on the box itself")
	switch {
	case err != nil:
		return nil, bad.Wrap(err)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, bad
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		c.unix, c.base = u.Path, &url.URL{Scheme: "http", Host: "pandabox"}
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && strings.Trim(u.Path, "/") == "":
		c.base = &url.URL{Scheme: u.Scheme, Host: u.Host}
	default:
		return nil, bad
	}
	roots, err := pool(config.CA)
	if err != nil {
		return nil, err
	}
	c.http = c.httpClient(roots, true)
	c.ws = c.httpClient(roots, false)
	return c, nil
}

// Address returns where the box is, as New was told.
func (c *Client) Address() string { return c.config.Address }

// Org returns the org the client acts in.
func (c *Client) Org() string { return c.config.Org }

// Close ends idle connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.ws.CloseIdleConnections()
}

func (c *Client) httpClient(roots *x509.CertPool, http2 bool) *http.Client {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         Dial,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		// An upload waits this long for the box to refuse it before it begins.
		ExpectContinueTimeout: 5 * time.Second,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(http2)
	if c.unix != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return Dial(ctx, "unix", c.unix)
		}
	}
	return &http.Client{
		Transport: t,
		// A box never redirects its API: following would carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func pool(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, model.Invalid("the CA holds no certificate").WithHint("give it as PEM: -----BEGIN CERTIFICATE-----")
	}
	return roots, nil
}
