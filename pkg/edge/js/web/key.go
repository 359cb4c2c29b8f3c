package web

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

// maxModulus bounds what an RSA operation may cost, in bits.
const maxModulus = 4096

func keyFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "generatePair", Live: true, Call: generatePair},
		{Name: "importMaterial", Call: importMaterial},
		{Name: "importParts", Call: importParts},
		{Name: "exportParts", Call: exportParts},
	}
}

func dataError(what string) error { return bridge.Throw("DataError", what) }

// generatePair(kind, curve, modulus bits, public exponent) → [PKCS #8, SPKI].
func generatePair(ctx context.Context, a bridge.Args) (bridge.Value, error) {
	if err := ctx.Err(); err != nil {
		return bridge.Undefined(), err
	}
	k, err := newPrivate(a.String(0), a.String(1), a.Number(2), a.Bytes(3))
	if err != nil {
		return bridge.Undefined(), err
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return bridge.Undefined(), failed()
	}
	public, err := x509.MarshalPKIXPublicKey(publicOf(k))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	return bridge.List(bridge.Bytes(private), bridge.Bytes(public)), nil
}

func newPrivate(kind, curve string, bits float64, exponent []byte) (any, error) {
	switch kind {
	case "EC":
		c, err := curveNamed(curve)
		if err != nil {
			return nil, err
		}
		return ecdsa.GenerateKey(c, rand.Reader)
	case "Ed25519":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	case "X25519":
		return ecdh.X25519().GenerateKey(rand.Reader)
	case "RSA":
		if new(big.Int).SetBytes(exponent).Cmp(big.NewInt(65537)) != 0 {
			return nil, bridge.Throw("OperationError", "the public exponent of an RSA key is 65537")
		}
		if !(bits >= 1024 && bits <= maxModulus) || int(bits)%8 != 0 {
			return nil, bridge.Throw("OperationError", "the modulus of an RSA key has 1024 to 4096 bits")
		}
		return rsa.GenerateKey(rand.Reader, int(bits))
	}
	return nil, bridge.Throw("NotSupportedError", "keys of the kind "+kind)
}

// publicOf returns the public half; nil for what is no private key.
func publicOf(k any) any {
	switch k := k.(type) {
	case *ecdsa.PrivateKey:
		return &k.PublicKey
	case ed25519.PrivateKey:
		return k.Public()
	case *ecdh.PrivateKey:
		return k.PublicKey()
	case *rsa.PrivateKey:
		return &k.PublicKey
	}
	return nil
}

func curveNamed(name string) (elliptic.Curve, error) {
	switch name {
	case "P-256":
		return elliptic.P256(), nil
	case "P-384":
		return elliptic.P384(), nil
	case "P-521":
		return elliptic.P521(), nil
	}
	return nil, dataError("unknown curve " + name)
}

// importMaterial(kind, format, curve, bytes) → [material] and of RSA keys also the bits of the modulus and the exponent.
func importMaterial(_ context.Context, a bridge.Args) (bridge.Value, error) {
	kind, b := a.String(0), a.Bytes(3)
	var k any
	var err error
	switch a.String(1) {
	case "pkcs8":
		k, err = x509.ParsePKCS8PrivateKey(b)
	case "spki":
		k, err = spkiPublic(b)
	case "raw":
		k, err = rawPublic(kind, a.String(2), b)
	default:
		return bridge.Undefined(), bridge.Throw("NotSupportedError", "the format "+a.String(1))
	}
	if err != nil {
		return bridge.Undefined(), dataError("the key cannot be read")
	}
	return material(kind, a.String(2), k)
}

// spkiPublic reads an SPKI; that of a compressed point, which x509 does not take, as well.
func spkiPublic(b []byte) (any, error) {
	k, err := x509.ParsePKIXPublicKey(b)
	if err == nil {
		return k, nil
	}
	var spki struct {
		Algorithm struct{ Name, Curve asn1.ObjectIdentifier }
		Point     asn1.BitString
	}
	if rest, aerr := asn1.Unmarshal(b, &spki); aerr != nil || len(rest) > 0 || !spki.Algorithm.Name.Equal([]int{1, 2, 840, 10045, 2, 1}) {
		return nil, err
	}
	for name, id := range map[string]asn1.ObjectIdentifier{
		"P-256": {1, 2, 840, 10045, 3, 1, 7}, "P-384": {1, 3, 132, 0, 34}, "P-521": {1, 3, 132, 0, 35},
	} {
		if spki.Algorithm.Curve.Equal(id) {
			return rawPublic("EC", name, spki.Point.RightAlign())
		}
	}
	return nil, err
}

func rawPublic(kind, curve string, b []byte) (any, error) {
	switch kind {
	case "EC":
		c, err := curveNamed(curve)
		if err != nil {
			return nil, err
		}
		if len(b) > 0 && b[0] != 4 {
			x, y := elliptic.UnmarshalCompressed(c, b)
			if x == nil {
				return nil, dataError("the point is not on the curve")
			}
			size := (c.Params().BitSize + 7) / 8
			b = append(append([]byte{4}, x.FillBytes(make([]byte, size))...), y.FillBytes(make([]byte, size))...)
		}
		return ecdsa.ParseUncompressedPublicKey(c, b)
	case "Ed25519":
		if len(b) != ed25519.PublicKeySize {
			return nil, dataError("the key has not 32 bytes")
		}
		return ed25519.PublicKey(b), nil
	case "X25519":
		return ecdh.X25519().NewPublicKey(b)
	}
	return nil, bridge.Throw("NotSupportedError", "keys of the kind "+kind)
}

// material checks that a key is of the kind and puts it in the form it is kept in.
func material(kind, curve string, k any) (bridge.Value, error) {
	if !fits(kind, curve, k) {
		return bridge.Undefined(), dataError("the key is of another kind")
	}
	var der []byte
	var err error
	switch publicOf(k) {
	case nil:
		der, err = x509.MarshalPKIXPublicKey(k)
	default:
		der, err = x509.MarshalPKCS8PrivateKey(k)
	}
	if err != nil {
		return bridge.Undefined(), dataError("the key cannot be used")
	}
	if kind != "RSA" {
		return bridge.List(bridge.Bytes(der)), nil
	}
	public, ok := publicOf(k).(*rsa.PublicKey)
	if !ok {
		public, _ = k.(*rsa.PublicKey)
	}
	if public.N.BitLen() > maxModulus {
		return bridge.Undefined(), dataError("the modulus of an RSA key has at most 4096 bits")
	}
	return bridge.List(bridge.Bytes(der), bridge.Number(float64(public.N.BitLen())), bridge.Bytes(big.NewInt(int64(public.E)).Bytes())), nil
}

func fits(kind, curve string, k any) bool {
	switch k := k.(type) {
	case *ecdsa.PrivateKey:
		return kind == "EC" && k.Params().Name == curve
	case *ecdsa.PublicKey:
		return kind == "EC" && k.Params().Name == curve
	case ed25519.PrivateKey, ed25519.PublicKey:
		return kind == "Ed25519"
	case *ecdh.PrivateKey:
		return kind == "X25519" && k.Curve() == ecdh.X25519()
	case *ecdh.PublicKey:
		return kind == "X25519" && k.Curve() == ecdh.X25519()
	case *rsa.PrivateKey, *rsa.PublicKey:
		return kind == "RSA"
	}
	return false
}
