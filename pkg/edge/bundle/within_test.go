package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithin(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	away := filepath.Join(t.TempDir(), "x.txt")
	for name, text := range map[string]string{away: "away", filepath.Join(dir, "x.txt"): "here"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for from, good := range map[string]bool{"./x.txt": true, away: false, "/dev/zero": false, "/proc/self/environ": false} {
		text := "import x from \"" + from + "\"; export default { fetch() { return new Response(x) } }"
		if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Build(t.Context(), dir, Options{Within: dir})
		if good != (err == nil) || err != nil && !strings.Contains(err.Error(), "not in the source") {
			t.Errorf("%s: %v", from, err)
		}
	}
}
