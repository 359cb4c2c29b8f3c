package web

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

func signatureFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "signWith", Live: true, Call: signWith},
		{Name: "verifyWith", Call: verifyWith},
		{Name: "oaep", Live: true, Call: oaep},
	}
}

// point is a signature of ECDSA as Go writes it; the platform has the two numbers one after the other.
type point struct{ R, S *big.Int }

// signWith(algorithm, hash, PKCS #8, data, salt length of RSA-PSS).
func signWith(_ context.Context, a bridge.Args) (bridge.Value, error) {
	k, err := x509.ParsePKCS8PrivateKey(a.Bytes(2))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	if k, ok := k.(ed25519.PrivateKey); ok {
		return bridge.Bytes(ed25519.Sign(k, a.Bytes(3))), nil
	}
	h, sum, err := digest(a.String(1), a.Bytes(3))
	if err != nil {
		return bridge.Undefined(), err
	}
	var sig []byte
	switch k := k.(type) {
	case *ecdsa.PrivateKey:
		sig, err = signECDSA(k, sum)
	case *rsa.PrivateKey:
		if a.String(0) == "RSA-PSS" {
			sig, err = signPSS(k, h, sum, a.Number(4))
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, h, sum)
		}
	default:
		err = failed()
	}
	if err != nil {
		return bridge.Undefined(), failed()
	}
	return bridge.Bytes(sig), nil
}

func signECDSA(k *ecdsa.PrivateKey, sum []byte) ([]byte, error) {
	der, err := ecdsa.SignASN1(rand.Reader, k, sum)
	if err != nil {
		return nil, err
	}
	var p point
	if _, err := asn1.Unmarshal(der, &p); err != nil {
		return nil, err
	}
	size := (k.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	p.R.FillBytes(out[:size])
	p.S.FillBytes(out[size:])
	return out, nil
}

// saltOptions are those of RSA-PSS; a salt that does not fit fails as the platform says.
func saltOptions(h crypto.Hash, k *rsa.PublicKey, salt float64) (*rsa.PSSOptions, error) {
	if !(salt >= 0 && salt <= float64((k.N.BitLen()+6)/8-2-h.Size())) {
		return nil, failed()
	}
	o := &rsa.PSSOptions{SaltLength: int(salt), Hash: h}
	return o, nil
}

// signPSS signs. A salt of length 0 means "as long as can be" to Go, so that it takes another way.
func signPSS(k *rsa.PrivateKey, h crypto.Hash, sum []byte, salt float64) ([]byte, error) {
	o, err := saltOptions(h, &k.PublicKey, salt)
	if err != nil {
		return nil, err
	}
	if o.SaltLength == 0 {
		return signUnsalted(k, h, sum)
	}
	return rsa.SignPSS(rand.Reader, k, h, sum, o)
}

// verifyWith(algorithm, hash, SPKI, signature, data, salt length).
func verifyWith(_ context.Context, a bridge.Args) (bridge.Value, error) {
	k, err := x509.ParsePKIXPublicKey(a.Bytes(2))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	sig, data := a.Bytes(3), a.Bytes(4)
	if k, ok := k.(ed25519.PublicKey); ok {
		return bridge.Bool(ed25519.Verify(k, data, sig)), nil
	}
	h, sum, err := digest(a.String(1), data)
	if err != nil {
		return bridge.Undefined(), err
	}
	ok := false
	switch k := k.(type) {
	case *ecdsa.PublicKey:
		ok = verifyECDSA(k, sum, sig)
	case *rsa.PublicKey:
		if a.String(0) == "RSA-PSS" {
			ok = verifyPSS(k, h, sum, sig, a.Number(5))
		} else {
			ok = rsa.VerifyPKCS1v15(k, h, sum, sig) == nil
		}
	}
	return bridge.Bool(ok), nil
}

func verifyECDSA(k *ecdsa.PublicKey, sum, sig []byte) bool {
	size := (k.Params().BitSize + 7) / 8
	if len(sig) != 2*size {
		return false
	}
	der, err := asn1.Marshal(point{new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])})
	return err == nil && ecdsa.VerifyASN1(k, sum, der)
}

func verifyPSS(k *rsa.PublicKey, h crypto.Hash, sum, sig []byte, salt float64) bool {
	o, err := saltOptions(h, k, salt)
	if err != nil {
		return false
	}
	if o.SaltLength == 0 {
		return verifyUnsalted(k, h, sum, sig)
	}
	return rsa.VerifyPSS(k, h, sum, sig, o) == nil
}

// oaep(encrypting, hash, material, data, label).
func oaep(_ context.Context, a bridge.Args) (bridge.Value, error) {
	h, err := hashNamed(a.String(1))
	if err != nil {
		return bridge.Undefined(), err
	}
	var out []byte
	if a.Bool(0) {
		k, perr := x509.ParsePKIXPublicKey(a.Bytes(2))
		public, ok := k.(*rsa.PublicKey)
		if perr != nil || !ok {
			return bridge.Undefined(), failed()
		}
		out, err = rsa.EncryptOAEP(h.New(), rand.Reader, public, a.Bytes(3), a.Bytes(4))
	} else {
		k, perr := x509.ParsePKCS8PrivateKey(a.Bytes(2))
		private, ok := k.(*rsa.PrivateKey)
		if perr != nil || !ok {
			return bridge.Undefined(), failed()
		}
		out, err = rsa.DecryptOAEP(h.New(), nil, private, a.Bytes(3), a.Bytes(4))
	}
	if err != nil {
		return bridge.Undefined(), failed()
	}
	return bridge.Bytes(out), nil
}
