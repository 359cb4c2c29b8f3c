package proxy

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"
)

// brokenPrefix is where blobs that cannot be read are put aside.
const brokenPrefix = "broken/"

// caPrefix is where Caddy's pki app keeps the box's own CA.
const caPrefix = "pki/authorities/local/"

// mendCA puts the CA aside if it cannot be read, so that a new one is made: without a CA the proxy could not start at
// all, and one broken blob must not take every app away. A new root has to be trusted anew by whoever trusted the old.
func mendCA(s Storage, log zerolog.Logger) error {
	for _, name := range []string{"root", "intermediate"} {
		bad, err := brokenPair(s, caPrefix+name+".crt", caPrefix+name+".key")
		if err != nil {
			return err
		}
		if !bad {
			continue
		}
		log.Error().Str("part", name).Msg("the box's own CA cannot be read: put aside, making a new one")
		parts := []string{name}
		if name == "root" {
			parts = append(parts, "intermediate") // signed by the lost root
		}
		for _, part := range parts {
			if err := putAside(s, caPrefix+part+".crt", caPrefix+part+".key"); err != nil {
				return err
			}
		}
	}
	return nil
}

// mend puts a host's certificate aside if it cannot be read, so that another is obtained.
func (c *certificates) mend(i *issuance, host string) {
	keys := certmagic.StorageKeys
	crt, key, meta := keys.SiteCert(i.key, host), keys.SitePrivateKey(i.key, host), keys.SiteMeta(i.key, host)
	s := c.p.cfg.Storage
	bad, err := brokenPair(s, crt, key)
	if err == nil && !bad {
		blob, _, lerr := s.LoadBlob(meta)
		bad = lerr == nil && !json.Valid(blob)
	}
	if err != nil || !bad {
		return // what the store cannot tell now is not broken
	}
	c.p.log.Error().Str("host", host).Msg("a certificate cannot be read: put aside, obtaining another")
	if err := putAside(s, crt, key, meta); err != nil {
		c.p.log.Error().Err(err).Str("host", host).Msg("putting a certificate aside")
	}
}

// brokenPair tells whether a certificate and its key are there but of no use. Both missing is not broken.
func brokenPair(s Storage, crt, key string) (bool, error) {
	c, cerr := loadOrNil(s, crt)
	k, kerr := loadOrNil(s, key)
	if err := errors.Join(cerr, kerr); err != nil {
		return false, err
	}
	if c == nil && k == nil {
		return false, nil
	}
	_, err := parsePair(c, k)
	return err != nil, nil
}

func loadOrNil(s Storage, key string) ([]byte, error) {
	b, _, err := s.LoadBlob(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("loading %s: %w", key, err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

func putAside(s Storage, keys ...string) error {
	for _, key := range keys {
		b, err := loadOrNil(s, key)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if err := s.SaveBlob(brokenPrefix+key, b); err != nil {
			return fmt.Errorf("putting %s aside: %w", key, err)
		}
		if err := s.DeleteBlob(key); err != nil {
			return fmt.Errorf("putting %s aside: %w", key, err)
		}
	}
	return nil
}

func encodePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
