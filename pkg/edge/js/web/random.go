package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

func randomFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "randomFill", Live: true, Call: randomFill},
		{Name: "randomBytes", Live: true, Call: randomBytes},
		{Name: "randomHex", Live: true, Call: randomHex},
		{Name: "randomUUID", Live: true, Call: randomUUID},
		{Name: "equalBytes", Call: equalBytes},
	}
}

// randomFill(bytes) overwrites them.
func randomFill(_ context.Context, a bridge.Args) (bridge.Value, error) {
	_, err := rand.Read(a.Bytes(0))
	return bridge.Undefined(), err
}

// randomBytes(n) → n of them, of at most 64 KiB.
func randomBytes(_ context.Context, a bridge.Args) (bridge.Value, error) {
	n := a.Number(0)
	if !(n >= 0 && n <= 1<<16) { // nor what is no number
		return bridge.Undefined(), bridge.Throw("OperationError", "the length is not one that is allowed")
	}
	b := make([]byte, int(n))
	_, err := rand.Read(b)
	return bridge.Bytes(b), err
}

// randomHex(n) → n random bytes as text, of at most 64.
func randomHex(_ context.Context, a bridge.Args) (bridge.Value, error) {
	b := make([]byte, min(max(int(a.Number(0)), 0), 64))
	_, err := rand.Read(b)
	return bridge.String(hex.EncodeToString(b)), err
}

// randomUUID() → one of version 4.
func randomUUID(context.Context, bridge.Args) (bridge.Value, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return bridge.Undefined(), err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return bridge.String(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])), nil
}

// equalBytes(a, b), in a time that depends on the lengths alone.
func equalBytes(_ context.Context, a bridge.Args) (bridge.Value, error) {
	return bridge.Bool(subtle.ConstantTimeCompare(a.Bytes(0), a.Bytes(1)) == 1), nil
}
