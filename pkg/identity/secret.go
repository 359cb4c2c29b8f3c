package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
)

// The prefixes of secrets, by which people and scanners of leaked secrets know them.
const (
	TokenPrefix = "pbx_"
	ClaimPrefix = "claim_"
)

// NewSecret returns a fresh secret of 256 random bits and the SHA-256 under which it is stored.
func NewSecret(prefix string) (secret string, hash []byte) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	text := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding).EncodeToString(b[:])
	secret = prefix + text
	return secret, HashSecret(secret)
}

// HashSecret returns the SHA-256 of a secret. A secret has 256 bits of chance, so that no slower hash is needed.
func HashSecret(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}
