package api

import "time"

// MaxKVValue bounds a value of the key-value store, in bytes.
const MaxKVValue = 1 << 20

// KVKey is one key of an environment's key-value store.
type KVKey struct {
	Name      string    `json:"name"`
	ExpiresAt time.Time `json:"expiresAt,omitzero" doc:"absent: never"`
}
