package control

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// SetCertificate gives a domain of the workload a certificate of the user's own, PEM-encoded, leaf first. A key that
// does not fit, or a certificate for other names or of another time, is refused.
func (d *Domains) SetCertificate(ctx context.Context, actor model.Actor, ref Ref, host string, certPEM, keyPEM []byte) (Domain, error) {
	if d.c.cfg.Certs == nil {
		return Domain{}, missing("proxy")
	}
	own := func(tx *store.Tx) (place, model.Domain, error) {
		pl, err := d.c.findToChange(tx, actor, identity.CertificateWrite, ref)
		if err != nil {
			return pl, model.Domain{}, err
		}
		one, err := ownDomain(tx, pl, host)
		return pl, one, err
	}
	var one model.Domain
	err := d.c.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		_, one, err = own(tx)
		return err
	})
	if err != nil {
		return Domain{}, err
	}
	if err := d.c.checkCertificate(one.Host, certPEM, keyPEM); err != nil {
		return Domain{}, err
	}
	// The certificate first: a domain that says custom without having one would serve nothing.
	if err := d.c.cfg.Certs.SetCertificate(ctx, one.Host, certPEM, keyPEM); err != nil {
		return Domain{}, err
	}
	err = d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, now, err := own(tx)
		if err != nil {
			return err
		}
		one = now
		one.TLS = model.TLSCustom
		if err := tx.PutDomain(one); err != nil {
			return err
		}
		return d.c.domainChanged(tx, actor, pl, one.Host, "domain.certificate", "certificate")
	})
	if err != nil {
		return Domain{}, err
	}
	return d.c.withCertificate(ctx, one), nil
}

func (c *Control) checkCertificate(host string, certPEM, keyPEM []byte) error {
	bad := model.Invalid("the certificate cannot be used for %s", host).WithHint("give the leaf and its chain, PEM-encoded, and the key that belongs to them")
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return bad.WithWhy("%s", err) // names no part of the key
	}
	if strings.HasPrefix(host, "*.") { // VerifyHostname takes no pattern
		if !slices.ContainsFunc(pair.Leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, host) }) {
			return bad.WithWhy("it is for %s", strings.Join(pair.Leaf.DNSNames, ", "))
		}
	} else if err := pair.Leaf.VerifyHostname(host); err != nil {
		return bad.WithWhy("%s", err)
	}
	if now := c.now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		return bad.WithWhy("it is valid from %s to %s", pair.Leaf.NotBefore, pair.Leaf.NotAfter)
	}
	return nil
}

// withCertificate adds what is known of a domain's certificate.
func (c *Control) withCertificate(ctx context.Context, d model.Domain) Domain {
	out := Domain{Domain: d}
	if c.cfg.Certs == nil || d.TLS == model.TLSOff {
		return out
	}
	if s, err := c.cfg.Certs.Certificate(ctx, d.Host); err == nil {
		out.Certificate = &s
	}
	return out
}

// forgetCertificates forgets what users brought for domains that are on their way out.
func (c *Control) forgetCertificates(ctx context.Context, ds []model.Domain) error {
	var errs []error
	for _, d := range ds {
		if d.TLS == model.TLSCustom && c.cfg.Certs != nil {
			errs = append(errs, c.cfg.Certs.RemoveCertificate(ctx, d.Host))
		}
	}
	return errors.Join(errs...)
}
