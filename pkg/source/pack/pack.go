package pack

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/model"
)

// Bounds of one archive.
const (
	MaxFiles = 200_000
	MaxBytes = 2 << 30 // of all files
	maxPath  = 1024    // bytes
)

// Summary is what was packed or unpacked.
type Summary struct {
	Files int
	Bytes int64 // before compression
}

// Pack looks at dir and packs its source: see Look and Tree.Pack.
func Pack(ctx context.Context, dir string, w io.Writer, progress func(Summary)) (Summary, error) {
	t, err := Look(ctx, dir)
	if err != nil {
		return Summary{}, err
	}
	return t.Pack(ctx, w, progress)
}

// add writes one file and tells read of each part of it. An error of read ends it.
func add(t *tar.Writer, dir, name string, read func(n int) error) error {
	if err := checkName(name); err != nil {
		return err
	}
	at := filepath.Join(dir, filepath.FromSlash(name))
	st, err := os.Lstat(at)
	if err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	h := &tar.Header{Name: name, Mode: 0o644, Format: tar.FormatPAX}
	switch mode := st.Mode(); {
	case mode&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = os.Readlink(at); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		return nil
	case !mode.IsRegular():
		return odd(name)
	case mode&0o111 != 0:
		h.Mode = 0o755
	}
	f, err := os.Open(at)
	if err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	defer func() { _ = f.Close() }()
	if st, err = f.Stat(); err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	h.Typeflag, h.Size = tar.TypeReg, st.Size()
	if err := t.WriteHeader(h); err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	return content(t, f, name, h.Size, read)
}

// content writes size bytes of a file.
func content(w io.Writer, f io.Reader, name string, size int64, read func(n int) error) error {
	b := make([]byte, min(size, 128<<10))
	for size > 0 {
		n, err := io.ReadFull(f, b[:min(size, int64(len(b)))])
		if err != nil {
			return model.Conflict("%s changed while it was packed", name).Wrap(err).WithHint("deploy again")
		}
		if _, err := w.Write(b[:n]); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		if err := read(n); err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// lfsPointer is how the stand-in of a file begins that Git LFS keeps elsewhere.
var lfsPointer = []byte("version https://git-lfs.github.com/spec/")

// maxPointer is more than the size of any such stand-in, in bytes.
const maxPointer = 1024

// checkName refuses paths that could mean something else on the other side.
func checkName(name string) error {
	switch {
	case !fs.ValidPath(name), name == ".", !utf8.ValidString(name), len(name) > maxPath:
		return model.Invalid("%.80q is not a path that can be packed", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return model.Invalid("%.80q has a line break or control character in it", name).WithHint("rename the file, or leave it out: add it to %s", ignoreFile)
	}
	return nil
}

// tooMuch says which folders make the source as large as it is.
func tooMuch(dir string, names []string, what string) error {
	sizes := map[string]int64{}
	for _, name := range names {
		top, _, _ := strings.Cut(name, "/")
		if st, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); err == nil {
			sizes[top] += st.Size()
		}
	}
	var tops []string
	for top := range sizes {
		tops = append(tops, top)
	}
	slices.SortFunc(tops, func(a, b string) int { return int(sizes[b]>>10 - sizes[a]>>10) })
	var largest []string
	for _, top := range tops[:min(3, len(tops))] {
		largest = append(largest, fmt.Sprintf("%s %d MB", top, sizes[top]>>20))
	}
	return model.Errorf(model.KindTooLarge, "the source has %s", what).WithWhy("largest: %s", strings.Join(largest, ", ")).
		WithHint("leave out what the build does not need: add it to .gitignore or %s", ignoreFile)
}
