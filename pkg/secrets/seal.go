package secrets

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// A sealed value is
//
//	1 byte   form, 1
//	4 bytes  version of the master key, big endian
//	72 bytes the value's own key, sealed by the master key: nonce 24, key 32, tag 16
//	rest     the value, sealed by its own key: nonce 24, value, tag 16
const (
	form       = 1
	headSize   = 1 + 4
	wrapSize   = chacha20poly1305.NonceSizeX + chacha20poly1305.KeySize + chacha20poly1305.Overhead
	leastTotal = headSize + wrapSize + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
)

// The reasons why a value does not open.
var (
	ErrKeyMissing = errors.New("the master key it was sealed with is not in the key file")
	ErrNotSealed  = errors.New("it is not a sealed value")
	ErrWrong      = errors.New("it was changed, was sealed for another place, or by another box's master key")
)

// Seal encrypts plain for a place. Only Open with the same place reads it.
func (k *Keyring) Seal(plain []byte, place ...string) ([]byte, error) {
	k.mu.RLock()
	version, master := len(k.keys), k.keys[len(k.keys)-1]
	k.mu.RUnlock()
	own := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(own) // crypto/rand.Read never fails
	ad := associated(place)
	out := make([]byte, 0, leastTotal+len(plain))
	out = binary.BigEndian.AppendUint32(append(out, form), uint32(version))
	out, err := seal(out, master, own, ad)
	if err != nil {
		return nil, err
	}
	return seal(out, own, plain, ad)
}

// Open decrypts what Seal made for the same place. The error wraps ErrKeyMissing, ErrNotSealed or ErrWrong.
func (k *Keyring) Open(sealed []byte, place ...string) ([]byte, error) {
	own, err := k.unwrap(sealed, place)
	if err != nil {
		return nil, err
	}
	return open(own, sealed[headSize+wrapSize:], associated(place))
}

// Rewrap returns sealed under the newest master key, without opening the value, and whether anything had to be done.
func (k *Keyring) Rewrap(sealed []byte, place ...string) ([]byte, bool, error) {
	k.mu.RLock()
	version, master := len(k.keys), k.keys[len(k.keys)-1]
	k.mu.RUnlock()
	own, err := k.unwrap(sealed, place)
	if err != nil {
		return nil, false, err
	}
	if binary.BigEndian.Uint32(sealed[1:]) == uint32(version) {
		return sealed, false, nil
	}
	out := make([]byte, 0, len(sealed))
	out = binary.BigEndian.AppendUint32(append(out, form), uint32(version))
	out, err = seal(out, master, own, associated(place))
	if err != nil {
		return nil, false, err
	}
	return append(out, sealed[headSize+wrapSize:]...), true, nil
}

// unwrap returns a value's own key.
func (k *Keyring) unwrap(sealed []byte, place []string) ([]byte, error) {
	if len(sealed) < leastTotal || sealed[0] != form {
		return nil, ErrNotSealed
	}
	version := int(binary.BigEndian.Uint32(sealed[1:]))
	k.mu.RLock()
	defer k.mu.RUnlock()
	if version < 1 {
		return nil, ErrNotSealed
	}
	if version > len(k.keys) {
		return nil, fmt.Errorf("key version %d: %w", version, ErrKeyMissing)
	}
	return open(k.keys[version-1], sealed[headSize:headSize+wrapSize], associated(place))
}

// seal appends a nonce and the encryption of plain to out.
func seal(out, key, plain, ad []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(nonce) // crypto/rand.Read never fails
	return aead.Seal(append(out, nonce...), nonce, plain, ad), nil
}

func open(key, sealed, ad []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	n := chacha20poly1305.NonceSizeX
	plain, err := aead.Open(nil, sealed[:n], sealed[n:], ad)
	if err != nil {
		return nil, ErrWrong
	}
	return plain, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	return aead, nil
}

// associated writes the parts of a place so that no two places are written alike.
func associated(place []string) []byte {
	ad := []byte("pandabox")
	for _, p := range place {
		ad = append(binary.BigEndian.AppendUint32(ad, uint32(len(p))), p...)
	}
	return ad
}

// Fingerprint returns 32 bytes that are the same for the same data in the same place, and tell nothing about the data
// to whoever does not have the key file. It stays the same through Rotate.
func (k *Keyring) Fingerprint(data []byte, place ...string) []byte {
	k.mu.RLock()
	h := hmac.New(sha256.New, k.keys[0])
	k.mu.RUnlock()
	ad := associated(place)
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(ad)))) // a hash never fails
	_, _ = h.Write(ad)
	_, _ = h.Write(data)
	return h.Sum(nil)
}
