package proxy

import (
	"crypto/x509"
	"fmt"
	"os"

	"github.com/caddyserver/certmagic"

	"github.com/pandabox/pandabox/pkg/model"
)

// newACME makes the source of public certificates. Challenges are answered by Caddy's own listeners: certmagic finds
// their ports taken and leaves the answering to them.
func (c *certificates) newACME() *issuance {
	in := c.p.cfg.ACME
	issue := c.newIssuance(nil, "", c.p.cfg.Storage)
	https := c.p.HTTPSAddr()
	template := certmagic.ACMEIssuer{
		CA: in.CADirectory, Email: in.Email, Agreed: true, TrustedRoots: c.roots, Logger: c.logger,
		AltHTTPPort: int(c.p.HTTPAddr().Port()), AltTLSALPNPort: int(https.Port()), DisableDistributedSolvers: true,
		DisableHTTPChallenge: in.TLSALPN01Only, DisableTLSALPNChallenge: in.HTTP01Only,
	}
	if !https.Addr().IsUnspecified() {
		template.ListenHost = https.Addr().String()
	}
	issuer := certmagic.NewACMEIssuer(issue.cfg, template)
	issue.cfg.OnEvent = c.onEvent
	issue.cfg.Issuers, issue.key = []certmagic.Issuer{issuer}, issuer.IssuerKey()
	return issue
}

// acmeRoots returns the system's roots with those of files added, or nil for the system's alone.
func acmeRoots(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("loading the system's root certificates: %w", err)
	}
	for _, f := range files {
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("loading the ACME server's root certificate: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, model.Invalid("%s holds no certificate", f).WithHint("it has to be a PEM file with the ACME server's root certificate")
		}
	}
	return pool, nil
}
