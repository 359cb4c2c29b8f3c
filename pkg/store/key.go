package store

import (
	"context"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func sshKeys() table[model.Key] {
	return table[model.Key]{"keys", func(k *model.Key) string { return k.ID }, []index[model.Key]{
		{"fingerprint", func(k *model.Key) string { return k.Fingerprint }},
		{"org", func(k *model.Key) string { return join(k.OrgID, k.ID) }},
	}}
}

// Key returns a key by its id.
func (tx *Tx) Key(id string) (model.Key, error) { return sshKeys().get(tx, id) }

// KeyOf returns the key with a fingerprint.
func (tx *Tx) KeyOf(fingerprint string) (model.Key, error) {
	return sshKeys().by(tx, "fingerprint", fingerprint)
}

// Keys returns an org's keys, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) Keys(orgID, after string, limit int) ([]model.Key, string, error) {
	return sshKeys().list(tx, scan{index: "org", prefix: orgID + "/", after: after, limit: limit, reverse: true})
}

// PutKey writes a key.
func (tx *Tx) PutKey(k model.Key) error { return sshKeys().put(tx, k) }

// DeleteKey forgets a key.
func (tx *Tx) DeleteKey(id string) error { return sshKeys().delete(tx, id) }

// TouchKey writes when a key was last used, unless it is gone or was used later.
func (s *Store) TouchKey(ctx context.Context, id string, at time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		k, err := tx.Key(id)
		if err != nil || !k.LastUsed.Before(at) {
			_, err = zeroIfMissing(k, k, err)
			return err
		}
		k.LastUsed = at
		return tx.PutKey(k)
	})
}
