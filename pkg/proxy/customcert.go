package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// customPrefix is where certificates that users brought are kept, one blob each: the chain and the key, in PEM.
const customPrefix = "custom/"

// customCerts are the certificates that users brought.
type customCerts struct {
	mu     sync.Mutex // of writers
	byHost atomic.Pointer[map[string]customCert]
}

// customCert is one host's certificate, or why there is none.
type customCert struct {
	cert    *tls.Certificate
	problem string
}

func customKey(host string) string { return customPrefix + strings.Replace(host, "*", "_", 1) + ".pem" }

func customHost(key string) string {
	return strings.Replace(strings.TrimSuffix(strings.TrimPrefix(key, customPrefix), ".pem"), "_", "*", 1)
}

// load reads all certificates. One that cannot be read is noted and costs only its own host.
func (c *customCerts) load(s Storage, log zerolog.Logger) error {
	keys, err := s.ListBlobs(customPrefix)
	if err != nil {
		return fmt.Errorf("listing certificates: %w", err)
	}
	all := make(map[string]customCert, len(keys))
	for _, key := range keys {
		host := customHost(key)
		blob, _, err := s.LoadBlob(key)
		var cert *tls.Certificate
		if err == nil {
			cert, err = parsePair(blob, blob)
		}
		if err != nil {
			log.Error().Err(err).Str("host", host).Msg("a certificate cannot be read")
			all[host] = customCert{problem: "the certificate that was uploaded cannot be read: " + err.Error()}
			continue
		}
		all[host] = customCert{cert: cert}
	}
	c.byHost.Store(&all)
	return nil
}

// lookup returns what is kept for a name, under itself or the wildcard above it.
func (c *customCerts) lookup(name string) (customCert, bool) {
	all := c.byHost.Load()
	if all == nil {
		return customCert{}, false
	}
	if e, ok := (*all)[name]; ok {
		return e, true
	}
	_, parent, _ := strings.Cut(name, ".")
	e, ok := (*all)["*."+parent]
	return e, ok
}

// find returns the certificate for a name, or nil.
func (c *customCerts) find(name string) *tls.Certificate {
	e, _ := c.lookup(name)
	return e.cert
}

// set changes one entry; nil removes it.
func (c *customCerts) set(host string, cert *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[string]customCert{}
	if all := c.byHost.Load(); all != nil {
		for k, v := range *all {
			next[k] = v
		}
	}
	if cert == nil {
		delete(next, host)
	} else {
		next[host] = customCert{cert: cert}
	}
	c.byHost.Store(&next)
}

// SetCertificate keeps a certificate that a user brought and serves it, from the next handshake on, wherever the
// host's route says TLSCustom. certPEM is the leaf followed by its chain.
func (p *Proxy) SetCertificate(_ context.Context, host string, certPEM, keyPEM []byte) error {
	host, err := model.CheckHost(host)
	if err != nil {
		return err
	}
	cert, err := parsePair(certPEM, keyPEM)
	if err != nil {
		return model.Invalid("the certificate for %s cannot be used", host).Wrap(err).WithWhy("%s", err).
			WithHint("upload the certificate with its chain, and its key without a passphrase, both in PEM")
	}
	name := strings.Replace(host, "*", "any-name", 1)
	if err := cert.Leaf.VerifyHostname(name); err != nil {
		return model.Invalid("the certificate is not for %s", host).Wrap(err).WithWhy("it is for %s", strings.Join(cert.Leaf.DNSNames, ", ")).
			WithHint("upload one that names %s", host)
	}
	if now := time.Now(); now.After(cert.Leaf.NotAfter) {
		return model.Invalid("the certificate for %s has expired", host).WithWhy("it was valid until %s", cert.Leaf.NotAfter.UTC().Format(time.RFC3339)).
			WithHint("upload a renewed one")
	}
	blob := append(append(append([]byte(nil), certPEM...), '\n'), keyPEM...)
	if err := p.cfg.Storage.SaveBlob(customKey(host), blob); err != nil {
		return fmt.Errorf("keeping the certificate for %s: %w", host, err)
	}
	p.certs.custom.set(host, cert)
	return nil
}

// RemoveCertificate forgets the certificate that was brought for a host, so that nobody who adds the domain later is
// given it. None there is no error.
func (p *Proxy) RemoveCertificate(_ context.Context, host string) error {
	if err := p.cfg.Storage.DeleteBlob(customKey(host)); err != nil {
		return fmt.Errorf("forgetting the certificate for %s: %w", host, err)
	}
	p.certs.custom.set(host, nil)
	return nil
}

// parsePair reads a certificate with its chain and key.
func parsePair(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, err
		}
	}
	return &cert, nil
}
