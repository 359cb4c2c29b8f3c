//go:build linux

package js_test

import (
	"bytes"
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

// isolateOf makes an isolate of a module, closed when the test ends.
func isolateOf(t testing.TB, e *js.Engine, module string) guest.Isolate {
	t.Helper()
	p, err := e.Open(t.Context(), jstest.Code(module))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = i.Close(t.Context())
		_ = p.Close(t.Context())
	})
	return i
}

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }
