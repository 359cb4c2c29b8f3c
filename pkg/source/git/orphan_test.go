package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHalvesOfPacksAreRemoved has what is left where pandabox was killed while it moved packs into a repository, or made
// many one.
func TestHalvesOfPacksAreRemoved(t *testing.T) {
	for name, half := range map[string]string{"a pack": ".pack", "an index": ".idx"} {
		w := newWorld(t, Config{})
		w.commit("one", map[string]string{"a": "1"})
		w.must("push", "-q", w.url, "main")
		packs := filepath.Join(w.server.dirOf("app-1"), "objects", "pack")
		halves := []string{"pack-" + strings.Repeat("a", 40) + half, "merge-123", "new-123"}
		for _, file := range halves {
			if err := os.WriteFile(filepath.Join(packs, file), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if w.server.Repositories, err = Open(w.server.Repositories.dir); err != nil {
			t.Fatal(err)
		}
		for _, file := range halves {
			if _, err := os.Lstat(filepath.Join(packs, file)); !os.IsNotExist(err) {
				t.Errorf("%s is left (%v)", file, err)
			}
		}
		w.commit("two", map[string]string{"b": "2"})
		if out, err := w.git("push", w.url, "main"); err != nil {
			t.Errorf("after %s without the other half nothing can be pushed: %v\n%s", name, err, out)
		}
		fsck(t, w.server.dirOf("app-1"))
	}
}
