//go:build linux

package web_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
	"github.com/pandabox/pandabox/pkg/edge/js/web"
)

func engine(tb testing.TB) *js.Engine {
	tb.Helper()
	return jstest.Engine(tb, js.Prelude{Source: web.Source(), Functions: web.Functions()})
}

func TestStreamsAreTheScriptThatWasPinned(t *testing.T) {
	b, err := os.ReadFile("streams/ponyfill.js")
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != web.StreamsDigest {
		t.Fatalf("sha256 %x", sum)
	}
}
