package pack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/pandabox/pandabox/pkg/model"
)

// Tree is the source of a folder as it was looked at: what Pack takes of it.
type Tree struct {
	Dir     string
	Files   []string // as List returns them
	Bytes   int64    // of all files
	Outside []string // links that lead out of the folder: where it is built, they lead nowhere
}

// Look lists the source of dir and refuses at once, before anything is read or sent, what cannot be packed: nothing, too
// much, names that mean something else on the other side, stand-ins of Git LFS.
func Look(ctx context.Context, dir string) (*Tree, error) {
	names, err := List(ctx, dir)
	if err != nil {
		return nil, err
	}
	return look(ctx, dir, names)
}

// LookAll is Look for a folder that git checked out, and nobody works in: what is committed counts, whatever a .gitignore
// says. No git is asked.
func LookAll(ctx context.Context, dir string) (*Tree, error) {
	names, err := listAll(dir)
	if err != nil {
		return nil, err
	}
	return look(ctx, dir, names)
}

func look(ctx context.Context, dir string, names []string) (*Tree, error) {
	if len(names) == 0 {
		return nil, model.Invalid("%s has no files to deploy", dir).WithHint("are all of them ignored? see %s and .gitignore", ignoreFile)
	}
	if len(names) > MaxFiles {
		return nil, tooMuch(dir, names, fmt.Sprintf("%d files", len(names)))
	}
	t := &Tree{Dir: dir, Files: names}
	var pointers []string
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		at := filepath.Join(dir, filepath.FromSlash(name))
		st, err := os.Lstat(at)
		switch {
		case err != nil:
			return nil, fmt.Errorf("looking at %s: %w", name, err)
		case st.Mode()&fs.ModeSymlink != 0:
			if leadsOut(at, name) {
				t.Outside = append(t.Outside, name)
			}
		case !st.Mode().IsRegular():
			return nil, odd(name)
		case isPointer(at, st.Size()):
			pointers = append(pointers, name)
		}
		if st.Mode().IsRegular() {
			t.Bytes += st.Size()
		}
	}
	if len(pointers) > 0 {
		return nil, unfetched(pointers)
	}
	if t.Bytes > MaxBytes {
		return nil, tooMuch(dir, names, fmt.Sprintf("%.1f GB", float64(t.Bytes)/(1<<30)))
	}
	return t, nil
}

// Pack writes the tree as a compressed tar archive. The same files give the same bytes: times and owners are left out.
// progress may be nil; it is told, often, how many files and bytes are written so far.
func (t *Tree) Pack(ctx context.Context, w io.Writer, progress func(Summary)) (Summary, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return Summary{}, fmt.Errorf("packing: %w", err)
	}
	a := tar.NewWriter(z)
	var s Summary
	for _, name := range t.Files {
		read := func(n int) error {
			if s.Bytes += int64(n); s.Bytes > MaxBytes {
				return tooMuch(t.Dir, t.Files, fmt.Sprintf("more than %d GB", MaxBytes>>30))
			}
			if progress != nil {
				progress(s)
			}
			return ctx.Err()
		}
		if err := add(a, t.Dir, name, read); err != nil {
			return s, err
		}
		s.Files++
		if err := read(0); err != nil {
			return s, err
		}
	}
	if err := errors.Join(a.Close(), z.Close()); err != nil {
		return s, fmt.Errorf("packing: %w", err)
	}
	return s, nil
}

// leadsOut tells whether a link leads to a place that is not in the folder.
func leadsOut(at, name string) bool {
	to, err := os.Readlink(at)
	if err != nil {
		return false // packing it says what is wrong
	}
	return filepath.IsAbs(to) || !fs.ValidPath(path.Join(path.Dir(name), filepath.ToSlash(to)))
}

// isPointer tells whether a file of a size is a stand-in of Git LFS.
func isPointer(at string, size int64) bool {
	if size > maxPointer || size < int64(len(lfsPointer)) {
		return false
	}
	f, err := os.Open(at)
	if err != nil {
		return false // packing it says what is wrong
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(lfsPointer))
	n, _ := f.ReadAt(head, 0)
	return n == len(head) && bytes.Equal(head, lfsPointer)
}

// unfetched refuses stand-ins of Git LFS: what they stand for is not there.
func unfetched(names []string) error {
	if len(names) == 1 {
		return model.Invalid("%s is a pointer of Git LFS, not the file itself", names[0]).WithHint("fetch it: git lfs pull; or leave it out: add it to %s", ignoreFile)
	}
	const shown = 5
	text := strings.Join(names[:min(shown, len(names))], ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return model.Invalid("%d files are pointers of Git LFS, not the files themselves", len(names)).WithWhy("%s", text).
		WithHint("fetch them: git lfs pull; or leave them out: add them to %s", ignoreFile)
}

func odd(name string) error {
	return model.Invalid("%s is neither a file nor a link", name).WithHint("leave it out: add it to .gitignore or %s", ignoreFile)
}
