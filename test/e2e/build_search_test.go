package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// read returns a file of the folder.
func (f *folder) read(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(f.dir, name))
	return string(b), err
}

// search returns the files of the box that hold a text, also those that are compressed as layers and archives are.
func (w *world) search(text string) []string {
	w.Helper()
	var found []string
	searched := 0
	err := filepath.WalkDir(w.box.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what goes away meanwhile holds nothing
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		searched++
		if z, err := zstd.NewReader(bytes.NewReader(b)); err == nil {
			plain, _ := io.ReadAll(z)
			b = append(b, plain...)
			z.Close()
		}
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			plain, _ := io.ReadAll(z)
			b = append(b, plain...)
		}
		if bytes.Contains(b, []byte(text)) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil || searched < 20 {
		w.Fatalf("%d files were searched, %v", searched, err)
	}
	return found
}
