package engine_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/js/engine"
)

func TestTheEngineIsTheOneThatIsPinned(t *testing.T) {
	wasm, err := engine.Wasm()
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(wasm); hex.EncodeToString(sum[:]) != engine.Digest {
		t.Fatalf("the embedded engine has sha256 %x, want %s", sum, engine.Digest)
	}
	script, err := os.ReadFile("fetch.sh")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), "module="+engine.Digest) {
		t.Fatal("fetch.sh pins another module than engine.Digest")
	}
}
