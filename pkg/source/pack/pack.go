package pack

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

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

// Pack writes the source of dir as a compressed tar archive. The same files give the same bytes: times and owners are
// left out. progress may be nil; it is told how many files and bytes are written so far.
func Pack(ctx context.Context, dir string, w io.Writer, progress func(Summary)) (Summary, error) {
	names, err := List(ctx, dir)
	if err != nil {
		return Summary{}, err
	}
	if len(names) == 0 {
		return Summary{}, model.Invalid("%s has no files to deploy", dir).WithHint("are all of them ignored? see %s and .gitignore", ignoreFile)
	}
	if len(names) > MaxFiles {
		return Summary{}, tooMuch(dir, names, fmt.Sprintf("%d files", len(names)))
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return Summary{}, fmt.Errorf("packing: %w", err)
	}
	t := tar.NewWriter(z)
	var s Summary
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		n, err := add(t, dir, name)
		if err != nil {
			return s, err
		}
		s.Files++
		if s.Bytes += n; s.Bytes > MaxBytes {
			return s, tooMuch(dir, names, fmt.Sprintf("more than %d GB", MaxBytes>>30))
		}
		if progress != nil {
			progress(s)
		}
	}
	if err := t.Close(); err != nil {
		return s, fmt.Errorf("packing: %w", err)
	}
	if err := z.Close(); err != nil {
		return s, fmt.Errorf("packing: %w", err)
	}
	return s, nil
}

// add writes one file.
func add(t *tar.Writer, dir, name string) (int64, error) {
	if err := checkName(name); err != nil {
		return 0, err
	}
	at := filepath.Join(dir, filepath.FromSlash(name))
	st, err := os.Lstat(at)
	if err != nil {
		return 0, fmt.Errorf("packing %s: %w", name, err)
	}
	h := &tar.Header{Name: name, Mode: 0o644, Format: tar.FormatPAX}
	switch mode := st.Mode(); {
	case mode&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = os.Readlink(at); err != nil {
			return 0, fmt.Errorf("packing %s: %w", name, err)
		}
		if err := t.WriteHeader(h); err != nil {
			return 0, fmt.Errorf("packing %s: %w", name, err)
		}
		return 0, nil
	case !mode.IsRegular():
		return 0, model.Invalid("%s is neither a file nor a link", name).WithHint("leave it out: add it to .gitignore or %s", ignoreFile)
	case mode&0o111 != 0:
		h.Mode = 0o755
	}
	f, err := os.Open(at)
	if err != nil {
		return 0, fmt.Errorf("packing %s: %w", name, err)
	}
	defer func() { _ = f.Close() }()
	if st, err = f.Stat(); err != nil {
		return 0, fmt.Errorf("packing %s: %w", name, err)
	}
	if err := notPointer(f, name, st.Size()); err != nil {
		return 0, err
	}
	h.Typeflag, h.Size = tar.TypeReg, st.Size()
	if err := t.WriteHeader(h); err != nil {
		return 0, fmt.Errorf("packing %s: %w", name, err)
	}
	n, err := io.CopyN(t, f, h.Size)
	if err != nil {
		return n, model.Conflict("%s changed while it was packed", name).Wrap(err).WithHint("deploy again")
	}
	return n, nil
}

// lfsPointer is how the stand-in of a file begins that Git LFS keeps elsewhere.
var lfsPointer = []byte("version https://git-lfs.github.com/spec/")

// maxPointer is more than the size of any such stand-in, in bytes.
const maxPointer = 1024

// notPointer refuses stand-ins of Git LFS: what they stand for is not there.
func notPointer(f *os.File, name string, size int64) error {
	if size > maxPointer {
		return nil
	}
	head := make([]byte, len(lfsPointer))
	if n, _ := f.ReadAt(head, 0); n < len(head) || !bytes.Equal(head, lfsPointer) {
		return nil
	}
	return model.Invalid("%s is a pointer of Git LFS, not the file itself", name).WithHint("fetch it: git lfs pull")
}

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
