// Package archive keeps source code that came in, each as one file under its hash, and unpacks it for builds.
package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// Grace is how old a source has to be before Reclaim removes it: its deploy may still be on its way.
const Grace = time.Hour

// MaxSize bounds one archive, in bytes.
const MaxSize = 1 << 30

// Store keeps archives in a folder, and the trees that are unpacked now in another. Its methods may be called from any
// goroutine.
type Store struct{ files, trees string }

// Open prepares a store below two folders. Trees that an earlier one unpacked, and halves it left, are removed.
func Open(files, trees string) (*Store, error) {
	if err := os.RemoveAll(trees); err != nil {
		return nil, fmt.Errorf("removing unpacked sources: %w", err)
	}
	for _, dir := range []string{files, trees} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the store of sources: %w", err)
		}
	}
	halves, err := filepath.Glob(filepath.Join(files, half+"*"))
	if err != nil {
		return nil, err
	}
	for _, name := range halves {
		if err := os.Remove(name); err != nil {
			return nil, fmt.Errorf("removing half a source: %w", err)
		}
	}
	return &Store{files: files, trees: trees}, nil
}

const (
	half = "incoming-"
	ext  = ".tar.zst"
)

// Import keeps an archive made by pack.Pack, once it has been unpacked for a try. What is wrong with it is a
// *model.Error, and nothing is kept.
func (s *Store) Import(ctx context.Context, r io.Reader) (model.Source, error) {
	f, err := os.CreateTemp(s.files, half)
	if err != nil {
		return model.Source{}, fmt.Errorf("keeping a source: %w", err)
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }() // closed and renamed where all went well
	dir, err := os.MkdirTemp(s.trees, "try-")
	if err != nil {
		return model.Source{}, fmt.Errorf("unpacking a source: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	hash := sha256.New()
	in := &counted{r: io.TeeReader(r, io.MultiWriter(f, hash))}
	sum, err := pack.Unpack(ctx, in, dir)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // what stands behind the archive's end is part of its hash
	}
	if err == nil && sum.Files == 0 {
		err = model.Invalid("the source has no files").WithHint("pandabox deploy in the folder of the app")
	}
	if err != nil {
		return model.Source{}, err
	}
	if err := f.Sync(); err != nil {
		return model.Source{}, fmt.Errorf("keeping a source: %w", err)
	}
	digest := "sha256:" + hex.EncodeToString(hash.Sum(nil))
	if err := os.Rename(f.Name(), s.file(digest)); err != nil {
		return model.Source{}, fmt.Errorf("keeping a source: %w", err)
	}
	return model.Source{Digest: digest, Size: in.n, Files: sum.Files, Bytes: sum.Bytes}, syncDir(s.files)
}

// counted refuses archives that are too large.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.n += int64(n); c.n > MaxSize {
		return n, model.Errorf(model.KindTooLarge, "the source is larger than %d MB", MaxSize>>20).
			WithHint("leave out what the build does not need, in .pandaboxignore")
	}
	return n, err
}

// Tree unpacks a source into a folder of its own. Whoever asked calls remove when done with it. KindNotFound where no
// source of that digest is kept.
func (s *Store) Tree(ctx context.Context, digest string) (dir string, remove func(), err error) {
	f, err := os.Open(s.file(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, model.NotFound("the source %s is not on this box", digest).WithHint("upload it again: pandabox deploy")
	} else if err != nil {
		return "", nil, fmt.Errorf("opening a source: %w", err)
	}
	defer func() { _ = f.Close() }()
	if dir, err = os.MkdirTemp(s.trees, "tree-"); err != nil {
		return "", nil, fmt.Errorf("unpacking a source: %w", err)
	}
	remove = sync.OnceFunc(func() { _ = os.RemoveAll(dir) }) // Open removes what stays
	if _, err := pack.Unpack(ctx, f, dir); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// Reclaim removes the sources that keep does not name and that are older than Grace.
func (s *Store) Reclaim(keep []string, now time.Time) error {
	all, err := os.ReadDir(s.files)
	if err != nil {
		return fmt.Errorf("listing the sources: %w", err)
	}
	var errs []error
	for _, e := range all {
		hex, is := strings.CutSuffix(e.Name(), ext)
		info, err := e.Info()
		if !is || err != nil || now.Sub(info.ModTime()) < Grace || slices.Contains(keep, "sha256:"+hex) {
			continue
		}
		if err := os.Remove(filepath.Join(s.files, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing a source: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) file(digest string) string {
	return filepath.Join(s.files, filepath.Base(strings.TrimPrefix(digest, "sha256:"))+ext)
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
