package store

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Token returns a token by its id.
func (tx *Tx) Token(id string) (model.Token, error) { return tokens().get(tx, id) }

// Tokens returns an org's tokens, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) Tokens(orgID, after string, limit int) ([]model.Token, string, error) {
	return tokens().list(tx, scan{index: "org", prefix: orgID + "/", after: after, limit: limit, reverse: true})
}

// PutToken writes a token.
func (tx *Tx) PutToken(t model.Token) error { return tokens().put(tx, t) }

// DeleteToken forgets a token.
func (tx *Tx) DeleteToken(id string) error { return tokens().delete(tx, id) }

// TokenByHash returns the token whose secret has the SHA-256 hash, and whether there is one.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (t model.Token, found bool, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		t, err = tokens().by(tx, "hash", hex.EncodeToString(hash))
		found = err == nil
		_, err = zeroIfMissing(t, t, err)
		return err
	})
	return t, found, err
}

// TouchToken writes when a token was last used, unless it is gone or was used later.
func (s *Store) TouchToken(ctx context.Context, id string, at time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		t, err := tx.Token(id)
		if err != nil || !t.LastUsed.Before(at) {
			_, err = zeroIfMissing(t, t, err)
			return err
		}
		t.LastUsed = at
		return tx.PutToken(t)
	})
}
