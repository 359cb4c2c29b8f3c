package httpapi

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is docs/openapi.json. After a change of the API: go test ./pkg/httpapi -run OpenAPI -update.
const golden = "../../docs/openapi.json"

func TestOpenAPIDocumentIsCurrent(t *testing.T) {
	a, err := New(Config{Control: &control.Control{}, Logger: zerolog.Nop(), Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, a.spec, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.spec, want) {
		t.Error("docs/openapi.json is not what the code says: go test ./pkg/httpapi -run OpenAPI -update")
	}
}
