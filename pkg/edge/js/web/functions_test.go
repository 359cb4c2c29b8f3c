package web

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

// Whatever a script gets at and calls with whatever arguments: a function answers or refuses.
func TestFunctionsTakeAnyArguments(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	keys := sampleKeys(t)
	functions := Functions()
	rapid.Check(t, func(t *rapid.T) {
		f := functions[rapid.IntRange(0, len(functions)-1).Draw(t, "function")]
		args := bridge.Args(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bridge.Value { return argument(t, keys) }), 0, 8).Draw(t, "arguments"))
		call, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		defer stop()
		if _, err := f.Call(call, args); err != nil && err.Error() == "" {
			t.Fatalf("%s: an error without a text", f.Name)
		}
	})
}

func argument(t *rapid.T, keys [][]byte) bridge.Value {
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return bridge.Undefined()
	case 1:
		return bridge.Bool(rapid.Bool().Draw(t, "bool"))
	case 2:
		return bridge.Number(rapid.SampledFrom([]float64{0, 1, 4, 8, 16, 128, 255, 1024, -1, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "number"))
	case 3:
		return bridge.String(rapid.SampledFrom([]string{"", "SHA-256", "CBC", "CTR", "GCM", "EC", "Ed25519", "X25519", "RSA", "P-256", "P-521",
			"pkcs8", "spki", "raw", "RSA-PSS", "gzip", "deflate", "utf-8", "utf-16be", "gb18030", "iso-2022-jp", "host", "search", "http://a.b/c?d#e"}).Draw(t, "word"))
	case 4:
		return bridge.String(rapid.String().Draw(t, "text"))
	case 5:
		return bridge.Bytes(rapid.SampledFrom(keys).Draw(t, "key"))
	}
	return bridge.Bytes(rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "bytes"))
}

func sampleKeys(t *testing.T) [][]byte {
	t.Helper()
	var keys [][]byte
	for _, kind := range []string{"EC", "Ed25519", "X25519"} {
		v, err := generatePair(t.Context(), bridge.Args{bridge.String(kind), bridge.String("P-256")})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range v.Items() {
			keys = append(keys, k.Raw())
		}
	}
	return append(keys, make([]byte, 16), make([]byte, 32))
}

func FuzzMultipart(f *testing.F) {
	f.Add([]byte("--X\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\nContent-Type: x/y\r\n\r\n1\r\n--X--"), "X")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		v, err := parseMultipart(t.Context(), bridge.Args{bridge.Bytes(body), bridge.String(boundary)})
		if err == nil && len(v.Items())%4 != 0 {
			t.Fatalf("%d values", len(v.Items()))
		}
	})
}

func TestPBKDF2EndsWithItsCall(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := pbkdf2Bits(ctx, bridge.Args{bridge.String("SHA-512"), bridge.Bytes([]byte("k")), bridge.Bytes([]byte("s")), bridge.Number(4e9), bridge.Number(64)})
	if err == nil || time.Since(began) > 5*time.Second {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
}
