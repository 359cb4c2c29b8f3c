package web

import (
	"context"
	"crypto"
	"crypto/hmac"
	_ "crypto/sha1" //nolint:gosec // the platform has it: https://w3c.github.io/webcrypto/#sha
	_ "crypto/sha256"
	_ "crypto/sha512"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

func digestFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "digestOf", Call: digestOf},
		{Name: "hmacOf", Call: hmacOf},
	}
}

// hashNamed finds a hash by the name the platform has for it.
func hashNamed(name string) (crypto.Hash, error) {
	switch name {
	case "SHA-1":
		return crypto.SHA1, nil
	case "SHA-256":
		return crypto.SHA256, nil
	case "SHA-384":
		return crypto.SHA384, nil
	case "SHA-512":
		return crypto.SHA512, nil
	}
	return 0, bridge.Throw("NotSupportedError", name+" is not a hash")
}

func digest(name string, b []byte) (crypto.Hash, []byte, error) {
	h, err := hashNamed(name)
	if err != nil {
		return 0, nil, err
	}
	d := h.New()
	d.Write(b)
	return h, d.Sum(nil), nil
}

// digestOf(hash, bytes).
func digestOf(_ context.Context, a bridge.Args) (bridge.Value, error) {
	_, sum, err := digest(a.String(0), a.Bytes(1))
	return bridge.Bytes(sum), err
}

// hmacOf(hash, key, bytes).
func hmacOf(_ context.Context, a bridge.Args) (bridge.Value, error) {
	h, err := hashNamed(a.String(0))
	if err != nil {
		return bridge.Undefined(), err
	}
	m := hmac.New(h.New, a.Bytes(1))
	m.Write(a.Bytes(2))
	return bridge.Bytes(m.Sum(nil)), nil
}
