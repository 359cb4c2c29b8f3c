//go:build linux

package httpwasm_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestModulesThatDoNotStartAreRefused(t *testing.T) {
	for name, want := range map[string][2]string{
		"trap.wasm":  {"no such table", "before the first request"},
		"leave.wasm": {"exit code 0", "-mexec-model=reactor"},
		"early.wasm": {"there is none", "before the first request"},
	} {
		_, err := engine(t).Open(t.Context(), guest.Code{Main: fixture(t, name)})
		var m *model.Error
		if !errors.As(err, &m) || m.Kind != model.KindInvalid || !strings.Contains(m.Why, want[0]) || !strings.Contains(m.Hint, want[1]) {
			t.Errorf("%s: %v, try %q", name, err, m.Hint)
		}
	}
}

func TestTheStateOfTheStartIsWhereEachIsolateBegins(t *testing.T) {
	h := handler(t, fixture(t, "grow.wasm"), nil, model.FunctionLimits{})
	h.Fresh = true // its memory has grown: a reset may have to make a new instance, and nothing of that shows
	for range 4 {
		if w := call(t, h, "GET", "/", nil); w.Body.String() != "74" {
			t.Fatalf("answered %q; %v", w.Body, h.Errors())
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	h := handler(t, fixture(t, "grow.wasm"), nil, model.FunctionLimits{Memory: model.MinFunctionMemory})
	for range 100 { // 64 KiB more each time; what is refused is the guest's to deal with, as memory.grow says
		if w := call(t, h, "GET", "/", nil); w.Code != 200 {
			t.Fatalf("answered %d; %v", w.Code, h.Errors())
		}
	}
	i, err := h.Program.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := i.Memory(); got != 64<<10 {
		t.Errorf("a fresh isolate has %d bytes", got)
	}
	if err := i.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFunctionsThatTheABIDoesNotHaveAreRefused(t *testing.T) {
	_, err := engine(t).Open(t.Context(), guest.Code{Main: fixture(t, "unknown.wasm")})
	var m *model.Error
	if !errors.As(err, &m) || m.Kind != model.KindInvalid || !strings.Contains(m.What, "http_handler.get_weather") || m.Hint == "" {
		t.Errorf("opened: %v", err)
	}
}
