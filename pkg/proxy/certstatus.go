package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	"github.com/pandabox/pandabox/pkg/model"
)

// RootCA returns the root certificate of the box's own CA, in PEM; nil before Start.
func (p *Proxy) RootCA() []byte {
	if pem := p.certs.root.Load(); pem != nil {
		return *pem
	}
	return nil
}

// Certificate tells which certificate a host has and what keeps it from having the one it should. While a public one
// is missing, handshakes get one of the box's own CA.
func (p *Proxy) Certificate(_ context.Context, host string) (model.CertificateStatus, error) {
	host = hostOf(host)
	status := model.CertificateStatus{Host: host}
	mode, ok := p.certs.mode(host)
	if !ok {
		if p.certs.plain(host) {
			return status, nil
		}
		return status, model.NotFound("%s is not served here", host).WithHint("add it with: pandabox domains add %s", host)
	}
	switch {
	case mode == model.TLSCustom:
		e, found := p.certs.custom.lookup(host)
		switch {
		case e.cert != nil:
			fill(&status, e.cert)
		case found:
			status.Problem = e.problem
		default:
			status.Problem = "no certificate has been uploaded yet"
		}
	case mode == model.TLSAuto && p.certs.public(host):
		if cert := p.certs.acme.cached(host); cert != nil {
			fill(&status, cert)
		}
		status.Problem = p.certs.problem(host)
	default:
		status.Issuer = ownIssuer // which makes one at the first visit
		if cert := p.certs.internal.cached(host); cert != nil {
			fill(&status, cert)
		}
	}
	return status, nil
}

// plain tells whether a host is served without TLS.
func (c *certificates) plain(host string) bool {
	r := c.p.table.Load().find(host)
	return r != nil && r.TLS == model.TLSOff
}

// problem says why a host's last attempt at a public certificate failed; "" is well or not yet known.
func (c *certificates) problem(host string) string {
	c.mu.Lock()
	h := c.hosts[host]
	c.mu.Unlock()
	if h != nil {
		if text := h.problem.Load(); text != nil {
			return *text
		}
	}
	return ""
}

func fill(s *model.CertificateStatus, cert *tls.Certificate) {
	leaf := cert.Leaf
	if leaf == nil {
		return
	}
	s.Issuer, s.NotBefore, s.NotAfter = issuerName(leaf), leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
}

func issuerName(leaf *x509.Certificate) string {
	if len(leaf.Issuer.Organization) > 0 && leaf.Issuer.CommonName != "" {
		return leaf.Issuer.Organization[0] + " " + leaf.Issuer.CommonName
	}
	if leaf.Issuer.CommonName != "" {
		return leaf.Issuer.CommonName
	}
	return leaf.Issuer.String()
}
