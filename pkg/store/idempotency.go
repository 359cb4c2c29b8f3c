package store

import (
	"fmt"
	"time"
)

// Idempotent remembers the answer to a request, so that the same request made twice is done once.
type Idempotent struct {
	Key       string    `json:"key"`
	Request   []byte    `json:"request"` // SHA-256 of what was asked
	Answer    []byte    `json:"answer"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Idempotent returns what is remembered under key, or ErrNotFound once it has expired.
func (tx *Tx) Idempotent(key string) (Idempotent, error) {
	i, err := idempotency().get(tx, key)
	if err == nil && !tx.Now().Before(i.ExpiresAt) {
		return Idempotent{}, fmt.Errorf("idempotency key %q has expired: %w", key, ErrNotFound)
	}
	return i, err
}

// PutIdempotent remembers an answer and forgets some that have expired.
func (tx *Tx) PutIdempotent(i Idempotent) error {
	var old []string
	err := idempotency().walk(tx, scan{index: "expiry"}, func(key string, _ []byte) (bool, error) {
		if key >= number(uint64(tx.Now().Unix())) || len(old) == 100 {
			return false, nil
		}
		old = append(old, key[len(number(0))+1:])
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, key := range old {
		if err := idempotency().delete(tx, key); err != nil {
			return err
		}
	}
	return idempotency().put(tx, i)
}
