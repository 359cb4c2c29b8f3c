package control

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestABackupHoldsTheSourceOfWhatIsWanted restores it on a fresh box, which has no image to start.
func TestABackupHoldsTheSourceOfWhatIsWanted(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Dockerfile", Dockerfile: "FROM scratch\n"}
	dir := filepath.Join(b.dir, sourcesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	name := func(code string) string { return fmt.Sprintf("%x%s", sha256.Sum256([]byte(code)), sourceExt) }
	for _, code := range []string{"wanted", "somebody else's"} {
		if err := os.WriteFile(filepath.Join(dir, name(code)), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.deploySource("shop", "wanted")
	b.deploySource("gone", "not on the disk")
	var file bytes.Buffer
	if err := b.Box.Backup(t.Context(), root, &file); err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir()
	if err := Restore(t.Context(), fresh, bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(fresh, sourcesDir, "*"))
	if want := filepath.Join(fresh, sourcesDir, name("wanted")); err != nil || !slices.Equal(left, []string{want}) {
		t.Fatalf("restored are %q, %v; want %q", left, err, want)
	}
	if got, err := os.ReadFile(left[0]); err != nil || string(got) != "wanted" {
		t.Errorf("the source is %q, %v", got, err)
	}
	forged := editBackup(t, file.Bytes(), func(n string, c []byte) (string, []byte) {
		if strings.HasPrefix(n, sourcesDir+"/") {
			c = []byte("something else")
		}
		return n, c
	})
	wantKind(t, Restore(t.Context(), t.TempDir(), bytes.NewReader(forged)), model.KindInvalid)
}
