package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddypki"
	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/pandabox/pandabox/pkg/model"
)

// Times and rates of certificates.
const (
	intermediateLifetime = 365 * 24 * time.Hour
	leafLifetime         = 60 * 24 * time.Hour
	// handshakeWait bounds how long a first visitor waits for a public certificate that is being obtained.
	handshakeWait = 10 * time.Second
	// wildcardNames bounds how many names below one wildcard domain get a public certificate within an hour: anybody
	// can make names up, and certificate authorities count.
	wildcardNames = 10
	cleanEvery    = 24 * time.Hour
	keepExpired   = 14 * 24 * time.Hour
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

	mu        sync.Mutex
	hosts     map[string]*publicHost
	wildcards map[string]*rate.Limiter
}

// publicHost is a host that is to have a public certificate.
type publicHost struct {
	name    string
	ctx     context.Context // of everything certmagic does for the host
	cancel  context.CancelFunc
	first   chan struct{} // closed when the first attempt has ended
	once    sync.Once
	problem atomic.Pointer[string] // why the last attempt failed; "" is well, nil is not yet known
}

// issuance is one source of certificates with those it has made.
type issuance struct {
	cache *certmagic.Cache
	cfg   *certmagic.Config
	key   string // of the issuer
}

func newCertificates(p *Proxy) *certificates {
	return &certificates{p: p, signal: make(chan struct{}, 1), hosts: map[string]*publicHost{}, wildcards: map[string]*rate.Limiter{}}
}

// prepare loads what the user brought and makes sure that the CA's own blobs can be read.
func (c *certificates) prepare(context.Context) error {
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
	c.internal = c.newIssuance(issuer, issuer.IssuerKey())
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

func (c *certificates) newIssuance(issuer certmagic.Issuer, key string) *issuance {
	i := &issuance{key: key}
	i.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return i.cfg, nil },
		Logger:           c.logger.Named("cache"),
	})
	i.cfg = certmagic.New(i.cache, certmagic.Config{
		// Locks of its own: a host's lock is held while its public certificate is tried for again and again.
		Issuers: []certmagic.Issuer{issuer}, Storage: newVault(c.p.cfg.Storage), Logger: c.logger, DisableStorageCheck: true, OnEvent: c.onEvent,
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
	})
	return i
}

// close ends the upkeep of certificates.
func (c *certificates) close() {
	for _, i := range []*issuance{c.internal, c.acme} {
		if i != nil {
			i.cache.Stop()
		}
	}
}

// cached returns the certificate on hand for a name, or nil.
func (i *issuance) cached(name string) *tls.Certificate {
	if i == nil {
		return nil
	}
	certs := i.cache.AllMatchingCertificates(name)
	now := time.Now()
	for k := range certs {
		if certs[k].Leaf != nil && now.Before(certs[k].Leaf.NotAfter) && certs[k].Leaf.VerifyHostname(name) == nil {
			return &certs[k].Certificate
		}
	}
	return nil
}

// get answers one handshake.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name == "" {
		name = c.nameless(hello.Conn)
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

// publicCert returns the name's public certificate, waiting a little if it is just being obtained for the first time.
func (c *certificates) publicCert(name string) *tls.Certificate {
	if cert := c.acme.cached(name); cert != nil {
		return cert
	}
	h := c.ensure(name)
	if h == nil {
		return nil
	}
	wait := time.NewTimer(handshakeWait)
	defer wait.Stop()
	select {
	case <-h.first:
	case <-wait.C:
	}
	return c.acme.cached(name)
}

// ensure returns the keeping of a public certificate for a name, begun now if a wildcard route covers it and not too
// many such names came up lately.
func (c *certificates) ensure(name string) *publicHost {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.hosts[name]; ok {
		return h
	}
	r := c.p.table.Load().find(name)
	if r == nil || !strings.HasPrefix(r.Host, "*.") {
		return nil // an exact host is about to be managed
	}
	limit, ok := c.wildcards[r.Host]
	if !ok {
		limit = rate.NewLimiter(rate.Every(time.Hour/wildcardNames), wildcardNames)
		c.wildcards[r.Host] = limit
	}
	if !limit.Allow() {
		return nil
	}
	h := c.add(name)
	c.p.wait.Go(func() { c.keep(h) })
	return h
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
	_, err, _ := c.flight.Do(subject, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), handshakeWait) // shared by all who wait
		defer cancel()
		c.mend(c.internal, subject)
		return nil, c.internal.cfg.ManageSync(ctx, []string{subject})
	})
	if cert := c.internal.cached(name); cert != nil {
		return cert, nil
	}
	return nil, fmt.Errorf("making a certificate for %s: %w", name, errors.Join(err))
}

// allow is asked, as a second line of defence, before Caddy obtains a certificate by itself.
func (c *certificates) allow(name string) error {
	if _, ok := c.mode(name); !ok {
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

// run keeps public certificates for the hosts of the table until ctx ends.
func (c *certificates) run(ctx context.Context) {
	c.wake()
	clean := time.NewTicker(cleanEvery)
	defer clean.Stop()
	for {
		select {
		case <-ctx.Done():
			c.mu.Lock()
			for _, h := range c.hosts {
				h.cancel()
			}
			c.mu.Unlock()
			return
		case <-c.signal:
			c.sync()
		case <-clean.C:
			c.clean(ctx)
		}
	}
}

// sync begins to keep certificates for new hosts and stops for those that are gone.
func (c *certificates) sync() {
	if c.acme == nil {
		return
	}
	want := map[string]bool{}
	add := func(host string) {
		if mode, ok := c.mode(host); ok && mode == model.TLSAuto && c.public(host) {
			want[host] = true
		}
	}
	for host := range c.p.table.Load().exact {
		add(host)
	}
	add(c.p.cfg.BaseDomain)

	var begin []*publicHost
	c.mu.Lock()
	for host, h := range c.hosts {
		if want[host] {
			continue
		}
		if mode, ok := c.mode(host); ok && mode == model.TLSAuto {
			continue // below a wildcard
		}
		h.cancel()
		delete(c.hosts, host)
		c.acme.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: host}})
	}
	for host := range want {
		if _, ok := c.hosts[host]; !ok {
			begin = append(begin, c.add(host))
		}
	}
	c.mu.Unlock()
	for _, h := range begin {
		c.keep(h)
	}
}

// add notes a host that is to be kept. c.mu is held.
func (c *certificates) add(host string) *publicHost {
	ctx, cancel := context.WithCancel(context.Background()) // ended by sync or run
	h := &publicHost{name: host, ctx: ctx, cancel: cancel, first: make(chan struct{})}
	c.hosts[host] = h
	return h
}

// keep begins to obtain and renew a host's public certificate. certmagic tries again after failures, less and less
// often, for thirty days, and goes on renewing from there. It calls onEvent, so c.mu must not be held.
func (c *certificates) keep(h *publicHost) {
	c.mend(c.acme, h.name)
	if err := c.acme.cfg.ManageAsync(h.ctx, []string{h.name}); err != nil {
		h.ended(err.Error())
	}
}

// ended notes how an attempt went; "" is well.
func (h *publicHost) ended(problem string) {
	h.problem.Store(&problem)
	h.once.Do(func() { close(h.first) })
}

// onEvent hears from certmagic how obtaining went.
func (c *certificates) onEvent(_ context.Context, event string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	if sans, ok := data["sans"].([]string); ok && len(sans) > 0 {
		host = sans[0]
	}
	c.mu.Lock()
	h := c.hosts[host]
	c.mu.Unlock()
	if h == nil {
		return nil
	}
	switch event {
	case "cached_managed_cert":
		h.ended("")
	case "cert_failed":
		err, _ := data["error"].(error)
		c.p.log.Warn().Str("host", host).AnErr("error", err).Msg("no certificate")
		h.ended(explain(err))
	}
	return nil
}

// explain says what a CA answered.
func explain(err error) string {
	var p acme.Problem
	if errors.As(err, &p) && p.Detail != "" {
		return p.Detail
	}
	if err == nil {
		return "unknown"
	}
	return err.Error()
}

// clean removes what has been expired for long.
func (c *certificates) clean(ctx context.Context) {
	err := certmagic.CleanStorage(ctx, c.p.vault, certmagic.CleanStorageOptions{
		Logger: c.logger, InstanceID: "pandabox", OCSPStaples: true, ExpiredCerts: true, ExpiredCertGracePeriod: keepExpired,
	})
	if err != nil && ctx.Err() == nil {
		c.p.log.Warn().Err(err).Msg("cleaning up certificates")
	}
}

// managerModule gives Caddy the certificates for its handshakes.
type managerModule struct{ c *certificates }

var (
	_ caddy.Provisioner = (*managerModule)(nil)
	_ certmagic.Manager = (*managerModule)(nil)
)

// CaddyModule implements caddy.Module.
func (managerModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.get_certificate.pandabox", New: func() caddy.Module { return new(managerModule) }}
}

// Provision implements caddy.Provisioner.
func (m *managerModule) Provision(ctx caddy.Context) error {
	m.c = running.Load().certs
	return m.c.provision(ctx)
}

// GetCertificate implements certmagic.Manager.
func (m *managerModule) GetCertificate(_ context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.c.get(hello)
}

// permissionModule lets in only hosts that are served.
type permissionModule struct{}

// CaddyModule implements caddy.Module.
func (permissionModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.pandabox", New: func() caddy.Module { return new(permissionModule) }}
}

// CertificateAllowed implements caddytls.OnDemandPermission.
func (permissionModule) CertificateAllowed(_ context.Context, name string) error {
	p := running.Load()
	if p == nil {
		return errors.New("the proxy is closed")
	}
	return p.certs.allow(name)
}
