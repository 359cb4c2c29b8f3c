package runtime

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestIDOf(t *testing.T) {
	for name, want := range map[string]string{
		"w-1-v1-g1-web-1":       "w-1-v1-g1-web-1",
		"w-1-v1-g1-a--b-1":      "w-1-v1-g1-a-b-1-",
		strings.Repeat("a", 80): strings.Repeat("a", 59) + "-",
	} {
		if got := idOf(name); got != want && !(strings.HasPrefix(got, want) && len(got) == len(want)+16) {
			t.Errorf("%s became %s", name, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringMatching(`[a-z][a-z0-9-]{0,100}`).Draw(t, "a")
		id := idOf(a)
		if !idForm.MatchString(id) || len(id) > maxID || idOf(id) != id {
			t.Fatalf("%q became %q, which is no id", a, id)
		}
		if b := rapid.StringMatching(`[a-z][a-z0-9-]{0,100}`).Draw(t, "b"); b != a && idOf(b) == id {
			t.Fatalf("%q and %q share the id %q", a, b, id)
		}
	})
}
