package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddypki"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/pandabox/pandabox/pkg/model"
)

// certificates decides which certificate a handshake gets and keeps public ones on hand for every routed host.
type certificates struct {
	p        *Proxy
	custom   customCerts
	acme     *issuance // nil: no ACME
	internal *issuance
	root     atomic.Pointer[[]byte] // PEM
	roots    *x509.CertPool         // to check the ACME server with; nil: the system's
	logger   *zap.Logger
	signal   chan struct{}
	flight   singleflight.Group

	base context.Context // of all background work; ends with Close

	mu        sync.Mutex
	hosts     map[string]*publicHost
	begun     []*publicHost // of hosts, those that are yet to be kept
	wildcards map[string]*rate.Limiter
	own       map[string]struct{} // what the box's own CA has made certificates for
}

func newCertificates(p *Proxy) *certificates {
	return &certificates{p: p, signal: make(chan struct{}, 1), hosts: map[string]*publicHost{}, wildcards: map[string]*rate.Limiter{}, own: map[string]struct{}{}}
}

// prepare loads what the user brought and makes sure that the CA's own blobs can be read. base is the context of all
// that goes on in the background from then on.
func (c *certificates) prepare(base context.Context) error {
	c.base = base
	var err error
	if c.roots, err = acmeRoots(c.p.cfg.ACME.RootCAs); err != nil {
		return err
	}
	if err := mendCA(c.p.cfg.Storage, c.p.log); err != nil {
		return err
	}
	return c.custom.load(c.p.cfg.Storage, c.p.log)
}

// provision makes the issuers; Caddy calls it, through managerModule, while it loads its configuration.
func (c *certificates) provision(ctx caddy.Context) error {
	c.logger = ctx.Logger()
	module, err := ctx.LoadModuleByID("tls.issuance.internal", fmt.Appendf(nil, `{"lifetime": %d}`, leafLifetime))
	if err != nil {
		return fmt.Errorf("making the internal issuer: %w", err)
	}
	issuer, ok := module.(certmagic.Issuer)
	if !ok {
		return fmt.Errorf("the internal issuer is a %T", module)
	}
	c.internal = c.newIssuance(issuer, issuer.IssuerKey(), newOverlay(c.p.cfg.Storage, c.p.log))
	if !c.p.cfg.ACME.Disabled {
		c.acme = c.newACME()
	}
	app, err := ctx.App("pki")
	if err != nil {
		return fmt.Errorf("starting the internal CA: %w", err)
	}
	pki, ok := app.(*caddypki.PKI)
	if !ok {
		return fmt.Errorf("the pki app is a %T", app)
	}
	ca, err := pki.GetCA(ctx, caddypki.DefaultCAID)
	if err != nil {
		return fmt.Errorf("loading the internal CA: %w", err)
	}
	pem := encodePEM(ca.RootCertificate().Raw)
	c.root.Store(&pem)
	return nil
}

// close ends the upkeep of certificates.
func (c *certificates) close() {
	for _, i := range []*issuance{c.internal, c.acme} {
		if i != nil {
			i.cache.Stop()
		}
	}
}

// get answers one handshake.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name == "" {
		name = c.nameless(hello.Conn)
	} else if certmagic.SubjectIsIP(name) {
		return nil, fmt.Errorf("%s is not a server name", name) // or anybody could have certificates made without end
	}
	mode, ok := c.mode(name)
	if !ok {
		return nil, fmt.Errorf("%s is not served here", name)
	}
	if mode == model.TLSCustom {
		if cert := c.custom.find(name); cert != nil {
			return cert, nil
		}
	}
	if mode == model.TLSAuto && c.public(name) {
		if cert := c.publicCert(name); cert != nil {
			return cert, nil
		}
	}
	return c.internalCert(name) // also what stands in while a better one is missing
}

// nameless returns what a client that sent no name is after: the address it connected to.
func (c *certificates) nameless(conn net.Conn) string {
	if conn != nil {
		if a, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil && !a.Addr().IsUnspecified() {
			return a.Addr().Unmap().WithZone("").String()
		}
	}
	if c.p.cfg.BaseDomain != "" {
		return c.p.cfg.BaseDomain
	}
	return "localhost"
}

// mode tells where a name's certificate comes from; false means that the name is not ours to serve.
func (c *certificates) mode(name string) (model.TLSMode, bool) {
	if r := c.p.table.Load().find(name); r != nil {
		if r.TLS == "" {
			return model.TLSAuto, true
		}
		return r.TLS, r.TLS != model.TLSOff
	}
	if name == c.p.cfg.BaseDomain {
		return model.TLSAuto, true
	}
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return model.TLSInternal, true
	}
	return "", false
}

// public tells whether a public CA is to be asked for a name.
func (c *certificates) public(name string) bool {
	return c.acme != nil && certmagic.SubjectQualifiesForPublicCert(name) && !certmagic.SubjectIsIP(name)
}

// internalCert returns a certificate of the box's own CA, made now if need be.
func (c *certificates) internalCert(name string) (*tls.Certificate, error) {
	subject := name
	if r := c.p.table.Load().find(name); r != nil && strings.HasPrefix(r.Host, "*.") {
		subject = r.Host // one for all names below
	}
	if cert := c.internal.cached(name); cert != nil {
		return cert, nil
	}
	_, err, _ := c.flight.Do(subject, func() (any, error) { // one for all who wait
		ctx, cancel := context.WithTimeout(c.base, handshakeWait)
		defer cancel()
		c.mend(c.internal, subject)
		c.mu.Lock()
		c.own[subject] = struct{}{}
		c.mu.Unlock()
		return nil, c.internal.cfg.ManageSync(ctx, []string{subject})
	})
	if cert := c.internal.cached(name); cert != nil {
		return cert, nil
	}
	return nil, fmt.Errorf("making a certificate for %s: %w", name, err)
}

// allow is asked, as a second line of defence, before Caddy obtains a certificate by itself.
func (c *certificates) allow(name string) error {
	if _, ok := c.mode(name); !ok || certmagic.SubjectIsIP(name) {
		return fmt.Errorf("%s is not served here", name)
	}
	return nil
}

// wake makes run look at the table again.
func (c *certificates) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}
