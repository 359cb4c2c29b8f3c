package git

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// TestCloneOfALargeFile is of one that is read from the disk as it is sent.
func TestCloneOfALargeFile(t *testing.T) {
	w := newWorld(t, Config{})
	big := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(big)
	w.commit("one", map[string]string{"big": string(big), "a": "1"})
	w.must("push", w.url, "main")
	clone := filepath.Join(t.TempDir(), "clone")
	w.must("clone", "-q", w.url, clone)
	if out, err := gitIn(t, clone, nil, "fsck", "--full"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
