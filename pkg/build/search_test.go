//go:build linux

package build_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// search returns the files of the box that hold a text, also compressed as layers are.
func (s *site) search(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	searched := 0
	err := filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		searched++
		if z, err := zstd.NewReader(bytes.NewReader(b)); err == nil {
			if plain, err := io.ReadAll(z); err == nil {
				b = append(b, plain...)
			}
			z.Close()
		}
		if bytes.Contains(b, []byte(text)) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil || searched < 10 {
		t.Fatalf("%d files were searched, %v", searched, err)
	}
	return found
}
