package proxy

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/caddyserver/certmagic"
)

// Times of certificates.
const (
	intermediateLifetime = 365 * 24 * time.Hour // of the box's own CA
	leafLifetime         = 60 * 24 * time.Hour  // of what it makes
	cleanEvery           = 24 * time.Hour
	keepExpired          = 14 * 24 * time.Hour
	ownIssuer            = "pandabox issuer" // the common name of the box's own CA
)

// issuance is one source of certificates with those it has made.
type issuance struct {
	cache *certmagic.Cache
	cfg   *certmagic.Config
	key   string // of the issuer
}

func (c *certificates) newIssuance(issuer certmagic.Issuer, key string, blobs Storage) *issuance {
	i := &issuance{key: key}
	i.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return i.cfg, nil },
		Logger:           c.logger.Named("cache"),
	})
	i.cfg = certmagic.New(i.cache, certmagic.Config{
		// Locks of its own: a host's lock is held while its public certificate is tried for again and again.
		Issuers: []certmagic.Issuer{issuer}, Storage: newVault(blobs), Logger: c.logger, DisableStorageCheck: true,
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
	})
	return i
}

// stored tells whether a certificate for a name has been made before, perhaps by an earlier process.
func (i *issuance) stored(ctx context.Context, name string) bool {
	return i.cfg.Storage.Exists(ctx, certmagic.StorageKeys.SiteCert(i.key, name))
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

// cleanUp removes what has been expired for long, at the start and once a day.
func (c *certificates) cleanUp() {
	again := time.NewTicker(cleanEvery)
	defer again.Stop()
	for {
		err := certmagic.CleanStorage(c.base, c.p.vault, certmagic.CleanStorageOptions{
			Logger: c.logger, InstanceID: "pandabox", Interval: cleanEvery / 2,
			OCSPStaples: true, ExpiredCerts: true, ExpiredCertGracePeriod: keepExpired,
		})
		if err != nil && c.base.Err() == nil {
			c.p.log.Warn().Err(err).Msg("cleaning up certificates")
		}
		select {
		case <-c.base.Done():
			return
		case <-again.C:
		}
	}
}
