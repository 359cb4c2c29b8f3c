package web

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"math/big"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

// importParts(kind, curve, private, parts of a JWK …) is importMaterial of the parts in the order of exportParts.
func importParts(_ context.Context, a bridge.Args) (bridge.Value, error) {
	kind, private := a.String(0), a.Bool(2)
	var k any
	var err error
	switch kind {
	case "EC":
		k, err = ecFromParts(a.String(1), private, a.Bytes(3), a.Bytes(4), a.Bytes(5))
	case "Ed25519":
		if !private {
			k, err = rawPublic(kind, "", a.Bytes(3))
		} else if len(a.Bytes(4)) != ed25519.SeedSize {
			err = dataError("the key has not 32 bytes")
		} else {
			p := ed25519.NewKeyFromSeed(a.Bytes(4))
			k = p
			if !p.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(a.Bytes(3))) {
				err = dataError("the two halves of the key do not fit")
			}
		}
	case "X25519":
		if !private {
			k, err = rawPublic(kind, "", a.Bytes(3))
			break
		}
		var p *ecdh.PrivateKey
		if p, err = ecdh.X25519().NewPrivateKey(a.Bytes(4)); err == nil && string(p.PublicKey().Bytes()) != string(a.Bytes(3)) {
			err = dataError("the two halves of the key do not fit")
		}
		k = p
	case "RSA":
		k, err = rsaFromParts(private, a)
	default:
		err = dataError("keys of the kind " + kind)
	}
	if err != nil {
		return bridge.Undefined(), dataError("the key cannot be read")
	}
	return material(kind, a.String(1), k)
}

func ecFromParts(curve string, private bool, x, y, d []byte) (any, error) {
	c, err := curveNamed(curve)
	if err != nil {
		return nil, err
	}
	size := (c.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, dataError("a coordinate has not the length of the curve")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(c, append(append([]byte{4}, x...), y...))
	if err != nil || !private {
		return public, err
	}
	if len(d) != size {
		return nil, dataError("d has not the length of the curve")
	}
	k, err := ecdsa.ParseRawPrivateKey(c, d)
	if err != nil {
		return nil, err
	}
	if !k.PublicKey.Equal(public) {
		return nil, dataError("the two halves of the key do not fit")
	}
	return k, nil
}

func rsaFromParts(private bool, a bridge.Args) (any, error) {
	n := func(i int) *big.Int { return new(big.Int).SetBytes(a.Bytes(i)) }
	e := n(4)
	if e.BitLen() > 31 || n(3).BitLen() > maxModulus {
		return nil, dataError("the key is too large")
	}
	public := rsa.PublicKey{N: n(3), E: int(e.Int64())}
	if !private {
		return &public, nil
	}
	k := &rsa.PrivateKey{PublicKey: public, D: n(5), Primes: []*big.Int{n(6), n(7)}}
	if err := k.Validate(); err != nil {
		return nil, err
	}
	k.Precompute()
	return k, nil
}

// exportParts(material, private, raw) → the parts of a JWK: x, y, d of elliptic curves, x, d of Ed25519 and X25519, n, e,
// d, p, q, dp, dq, qi of RSA; with raw the one point or public key.
func exportParts(_ context.Context, a bridge.Args) (bridge.Value, error) {
	var k any
	var err error
	if a.Bool(1) {
		k, err = x509.ParsePKCS8PrivateKey(a.Bytes(0))
	} else {
		k, err = x509.ParsePKIXPublicKey(a.Bytes(0))
	}
	if err != nil {
		return bridge.Undefined(), failed()
	}
	parts, err := partsOf(k, a.Bool(2))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	list := make([]bridge.Value, len(parts))
	for i, p := range parts {
		list[i] = bridge.Bytes(p)
	}
	return bridge.List(list...), nil
}

func partsOf(k any, raw bool) ([][]byte, error) {
	switch k := k.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if raw || err != nil {
			return [][]byte{point}, err
		}
		half := 1 + len(point)/2
		return [][]byte{point[1:half], point[half:]}, nil
	case *ecdsa.PrivateKey:
		parts, err := partsOf(&k.PublicKey, false)
		if err != nil {
			return nil, err
		}
		d, err := k.Bytes()
		return append(parts, d), err
	case ed25519.PublicKey:
		return [][]byte{k}, nil
	case ed25519.PrivateKey:
		return [][]byte{k[ed25519.SeedSize:], k.Seed()}, nil
	case *ecdh.PublicKey:
		return [][]byte{k.Bytes()}, nil
	case *ecdh.PrivateKey:
		return [][]byte{k.PublicKey().Bytes(), k.Bytes()}, nil
	case *rsa.PublicKey:
		return [][]byte{k.N.Bytes(), big.NewInt(int64(k.E)).Bytes()}, nil
	case *rsa.PrivateKey:
		k.Precompute()
		parts, err := partsOf(&k.PublicKey, false)
		return append(parts, k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes(),
			k.Precomputed.Dp.Bytes(), k.Precomputed.Dq.Bytes(), k.Precomputed.Qinv.Bytes()), err
	}
	return nil, failed()
}
