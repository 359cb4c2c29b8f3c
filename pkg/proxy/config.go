package proxy

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// Bounds that hold unless a route says otherwise.
const (
	DefaultMaxBody = 100 << 20        // bytes of request body
	DefaultTimeout = 60 * time.Second // from the request to the first byte of the answer
)

// Config is all a Proxy can be told. Storage is required; everything else has a default.
type Config struct {
	BaseDomain string       // the API answers on it; "" means only on IP addresses and localhost
	HTTPAddr   string       // ":80"; port 0 chooses a free one
	HTTPSAddr  string       // ":443", TCP and UDP; port 0 chooses one that is free for both
	BindIPs    []netip.Addr // listen on these only, in place of the hosts of HTTPAddr and HTTPSAddr
	APIHandler http.Handler // answers BaseDomain, localhost and IP addresses; nil: nothing does
	Functions  Functions    // answers for backends with Function set; nil: they are down
	Sites      Sites        // answers for backends with Static set; nil: they are down
	// Inside returns the function or site that answers for a name below .internal to the container of an address, zero for
	// none; nil: for nobody.
	Inside    func(ctx context.Context, client netip.Addr, host string) model.Backend
	Storage   Storage
	ACME      ACME
	Timeouts  Timeouts
	Logger    zerolog.Logger
	AccessLog func(AccessEntry) // called from one goroutine; entries are dropped rather than waited for; nil: off
}

// Functions answers requests inside the process. pkg/edge satisfies it.
type Functions interface {
	// Serve has the function loaded under a backend's name answer. It returns once the answer is complete, and answers in
	// any case; http.ErrAbortHandler is its only panic. r has the headers a replica would get, RemoteAddr is the client's.
	// next, unless nil, is what the request would have met without the function; it, too, panics with nothing but
	// http.ErrAbortHandler.
	Serve(name string, w http.ResponseWriter, r *http.Request, next http.Handler)
}

// Sites answers requests from static sites inside the process. pkg/static satisfies it.
type Sites interface {
	// Serve answers from the site served under a backend's name, in any case. It writes the body with one Write, or with
	// ReadFrom where that is more.
	Serve(name string, w http.ResponseWriter, r *http.Request)
}

// Timeouts bound how long a client may take. Zero fields have defaults.
type Timeouts struct {
	Header time.Duration // to send a request's header; 15 s
	Idle   time.Duration // between two requests of a connection; 2 min
	Stall  time.Duration // without sending or taking a byte of a body that is under way; 60 s
}

// ACME says where public certificates come from. The zero value is Let's Encrypt.
type ACME struct {
	Disabled    bool     // ask no one: every certificate comes from the box's own CA
	CADirectory string   // directory URL
	Email       string   // told about expiring certificates by some CAs
	RootCAs     []string // PEM files the directory's own certificate is checked against, besides the system's
	// The challenges to answer; both when neither is set.
	HTTP01Only    bool
	TLSALPN01Only bool
}

// complete fills in the defaults and refuses what cannot work.
func (c Config) complete() (Config, error) {
	if c.HTTPAddr == "" {
		c.HTTPAddr = ":80"
	}
	if c.HTTPSAddr == "" {
		c.HTTPSAddr = ":443"
	}
	for key, addr := range map[string]string{"HTTPAddr": c.HTTPAddr, "HTTPSAddr": c.HTTPSAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return c, model.Invalid("%s %q is not an address", key, addr).WithHint(`write it as ":443" or "127.0.0.1:8443"`).Wrap(err)
		}
	}
	if c.BaseDomain != "" {
		host, err := model.CheckHost(c.BaseDomain)
		if err != nil {
			return c, err
		}
		c.BaseDomain = host
	}
	c.Timeouts.Header = cmp.Or(c.Timeouts.Header, 15*time.Second)
	c.Timeouts.Idle = cmp.Or(c.Timeouts.Idle, 2*time.Minute)
	c.Timeouts.Stall = cmp.Or(c.Timeouts.Stall, time.Minute)
	if c.Storage == nil {
		return c, model.Invalid("the proxy has no storage").WithHint("set Config.Storage")
	}
	if c.ACME.HTTP01Only && c.ACME.TLSALPN01Only {
		return c, model.Invalid("ACME cannot be limited to HTTP-01 and to TLS-ALPN-01 at once")
	}
	return c, nil
}
