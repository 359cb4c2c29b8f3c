package web

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/binary"
	"math/big"
)

// RSA-PSS without a salt, for which the standard library has no way of asking: its 0 means something else. RFC 8017,
// section 9.1.

// encodeUnsalted makes the encoded message for a key of bits.
func encodeUnsalted(h crypto.Hash, sum []byte, bits int) ([]byte, bool) {
	size, n := (bits+6)/8, h.Size()
	if size < n+2 {
		return nil, false
	}
	d := h.New()
	d.Write(make([]byte, 8))
	d.Write(sum)
	check := d.Sum(nil)
	out := make([]byte, size)
	masked := out[:size-n-1]
	masked[len(masked)-1] = 1
	for i, at := uint32(0), 0; at < len(masked); i++ {
		d.Reset()
		d.Write(check)
		d.Write(binary.BigEndian.AppendUint32(nil, i))
		at += subtle.XORBytes(masked[at:], masked[at:], d.Sum(nil))
	}
	masked[0] &= 0xff >> (8*size - (bits - 1))
	copy(out[size-n-1:], check)
	out[size-1] = 0xbc
	return out, true
}

// signUnsalted blinds the message, since the arithmetic's time depends on it.
func signUnsalted(k *rsa.PrivateKey, h crypto.Hash, sum []byte) ([]byte, error) {
	em, ok := encodeUnsalted(h, sum, k.N.BitLen())
	if !ok {
		return nil, failed()
	}
	var r, inverse *big.Int
	for inverse == nil {
		var err error
		if r, err = rand.Int(rand.Reader, k.N); err != nil {
			return nil, err
		}
		inverse = new(big.Int).ModInverse(r, k.N)
	}
	m := new(big.Int).Exp(r, big.NewInt(int64(k.E)), k.N)
	m.Mul(m, new(big.Int).SetBytes(em)).Mod(m, k.N)
	m.Exp(m, k.D, k.N)
	m.Mul(m, inverse).Mod(m, k.N)
	sig := m.FillBytes(make([]byte, k.Size()))
	if !verifyUnsalted(&k.PublicKey, h, sum, sig) {
		return nil, failed()
	}
	return sig, nil
}

func verifyUnsalted(k *rsa.PublicKey, h crypto.Hash, sum, sig []byte) bool {
	em, ok := encodeUnsalted(h, sum, k.N.BitLen())
	s := new(big.Int).SetBytes(sig)
	if !ok || len(sig) != k.Size() || s.Cmp(k.N) >= 0 {
		return false
	}
	m := s.Exp(s, big.NewInt(int64(k.E)), k.N)
	return m.BitLen() <= 8*len(em) && bytes.Equal(m.FillBytes(make([]byte, len(em))), em)
}
