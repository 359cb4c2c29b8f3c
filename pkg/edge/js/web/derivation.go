package web

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/x509"
	"encoding/binary"
	"hash"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

func derivationFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "agree", Call: agree},
		{Name: "hkdfBits", Call: hkdfBits},
		{Name: "pbkdf2Bits", Call: pbkdf2Bits},
	}
}

// agree(PKCS #8, SPKI) → the shared secret.
func agree(_ context.Context, a bridge.Args) (bridge.Value, error) {
	private, err := x509.ParsePKCS8PrivateKey(a.Bytes(0))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	public, err := x509.ParsePKIXPublicKey(a.Bytes(1))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	if k, ok := private.(*ecdsa.PrivateKey); ok {
		if private, err = k.ECDH(); err != nil {
			return bridge.Undefined(), failed()
		}
	}
	if k, ok := public.(*ecdsa.PublicKey); ok {
		if public, err = k.ECDH(); err != nil {
			return bridge.Undefined(), failed()
		}
	}
	mine, ok := private.(*ecdh.PrivateKey)
	other, also := public.(*ecdh.PublicKey)
	if !ok || !also {
		return bridge.Undefined(), failed()
	}
	secret, err := mine.ECDH(other)
	if err != nil {
		return bridge.Undefined(), failed()
	}
	return bridge.Bytes(secret), nil
}

// hkdfBits(hash, key, salt, info, bytes).
func hkdfBits(_ context.Context, a bridge.Args) (bridge.Value, error) {
	h, err := hashNamed(a.String(0))
	if err != nil {
		return bridge.Undefined(), err
	}
	n := a.Number(4)
	if !(n >= 0 && n <= float64(255*h.Size())) { // nor what is no number
		return bridge.Undefined(), failed()
	}
	out, err := hkdf.Key(h.New, a.Bytes(1), a.Bytes(2), string(a.Bytes(3)), int(n))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	return bridge.Bytes(out), nil
}

// pbkdf2Bits(hash, key, salt, iterations, bytes). The standard library's cannot be interrupted, and a million iterations
// take a second: so this asks every thousand whether the call is still wanted. RFC 8018, section 5.2.
func pbkdf2Bits(ctx context.Context, a bridge.Args) (bridge.Value, error) {
	h, err := hashNamed(a.String(0))
	if err != nil {
		return bridge.Undefined(), err
	}
	n := a.Number(4)
	if !(n >= 0 && n <= 1<<16) {
		return bridge.Undefined(), failed()
	}
	f := hmac.New(h.New, a.Bytes(1))
	var out []byte
	for block := uint32(1); len(out) < int(n); block++ {
		t, err := pbkdf2Block(ctx, f, a.Bytes(2), block, a.Number(3))
		if err != nil {
			return bridge.Undefined(), err
		}
		out = append(out, t...)
	}
	return bridge.Bytes(out[:int(n)]), nil
}

func pbkdf2Block(ctx context.Context, f hash.Hash, salt []byte, block uint32, iterations float64) ([]byte, error) {
	f.Reset()
	f.Write(salt)
	f.Write(binary.BigEndian.AppendUint32(nil, block))
	u := f.Sum(nil)
	t := append([]byte(nil), u...)
	for i := 1; i < int(iterations); i++ {
		if i%1000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f.Reset()
		f.Write(u)
		u = f.Sum(u[:0])
		for j, b := range u {
			t[j] ^= b
		}
	}
	return t, nil
}
