package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// The compressed forms, best first, as Accept-Encoding and file names call them.
const (
	formBrotli = "br"
	formZstd   = "zstd"
	formGzip   = "gzip"
)

// minCompress and maxCompress bound the size in bytes of files that are kept compressed too: below nothing is gained,
// above it would take too long.
const (
	minCompress = 256
	maxCompress = 8 << 20
)

// blobs are contents by their SHA-256, on disk.
type blobs struct {
	dir string
	// use is held for reading while a content is written or found to be there, for writing while one is removed.
	use *sync.RWMutex
	// made has the files that this import has written, and when; nil: nobody wants to know. Values are time.Time.
	made *sync.Map
}

func (b blobs) path(hash, form string) string {
	p := filepath.Join(b.dir, hash[:2], hash)
	if form != "" {
		p += "." + form
	}
	return p
}

// smallContent is the size in bytes below which a content is read before anything is written.
const smallContent = 64 << 10

// put reads a content of at most limit bytes and keeps it. Nothing is written twice. tooLarge tells that there was more.
func (b blobs) put(r io.Reader, limit int64) (hash string, size int64, tooLarge bool, err error) {
	var begin bytes.Buffer
	if size, err = io.Copy(&begin, io.LimitReader(r, min(smallContent, limit+1))); err != nil {
		return "", 0, false, fmt.Errorf("keeping a file: %w", err)
	}
	if size < min(smallContent, limit+1) { // that was all
		sum := sha256.Sum256(begin.Bytes())
		hash = hex.EncodeToString(sum[:])
		if name := b.path(hash, ""); !b.there(name, size) {
			err = b.write(name, begin.Bytes())
		}
		if err != nil {
			return "", 0, false, fmt.Errorf("keeping a file: %w", err)
		}
		return hash, size, false, nil
	}
	r = io.MultiReader(&begin, r)
	tmp, err := os.CreateTemp(b.dir, ".new-")
	if err != nil {
		return "", 0, false, fmt.Errorf("keeping a file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(tmp, sum), io.LimitReader(r, limit+1))
	if size > limit && err == nil {
		_ = tmp.Close()
		return "", size, true, nil
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	switch name := b.path(hash, ""); {
	case err != nil:
		_ = tmp.Close()
	case b.there(name, size):
		err = tmp.Close()
	default:
		err = b.settle(tmp, name)
	}
	if err != nil {
		return "", 0, false, fmt.Errorf("keeping a file: %w", err)
	}
	return hash, size, false, nil
}

// there tells whether a content is kept, of this size or, where that is negative, of any but none at all: a loss of power
// may leave a name without its content. It has it stay for as long as one that was written now.
func (b blobs) there(name string, size int64) bool {
	b.use.RLock()
	defer b.use.RUnlock()
	st, err := os.Stat(name)
	if err != nil || size >= 0 && st.Size() != size || size < 0 && st.Size() == 0 {
		return false
	}
	now := time.Now()
	if b.made != nil {
		if _, own := b.made.Load(name); own {
			return true
		}
	}
	return os.Chtimes(name, now, now) == nil
}

// settle gives a written file its name. It is durable once flush has run.
func (b blobs) settle(tmp *os.File, name string) error {
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	b.use.RLock()
	defer b.use.RUnlock()
	if err := os.Rename(tmp.Name(), name); err != nil || b.made == nil {
		return err
	}
	st, err := os.Stat(name)
	if err == nil {
		b.made.Store(name, st.ModTime())
	}
	return err
}

// takeBack removes what was made and that nobody else has found to be there since.
func (b blobs) takeBack() error {
	b.use.Lock()
	defer b.use.Unlock()
	var errs []error
	b.made.Range(func(name, at any) bool {
		if st, err := os.Stat(name.(string)); err == nil && st.ModTime().Equal(at.(time.Time)) {
			errs = append(errs, os.Remove(name.(string)))
		}
		return true
	})
	return errors.Join(errs...)
}

// compress makes the forms of a content that are at least a tenth smaller, and returns their names, best first, and how
// many bytes had to be read for that. Forms that are there are taken as they are.
func (b blobs) compress(hash string, size int64, e effort) (forms []string, did int64, err error) {
	if size < minCompress || size > maxCompress {
		return nil, 0, nil
	}
	var plain []byte
	for _, form := range []string{formBrotli, formZstd, formGzip} {
		name := b.path(hash, form)
		if b.there(name, -1) {
			forms = append(forms, form)
			continue
		}
		if e == effortNone {
			continue
		}
		if plain == nil {
			if plain, err = os.ReadFile(b.path(hash, "")); err != nil {
				return nil, 0, fmt.Errorf("compressing a file: %w", err)
			}
			did = size
		}
		packed, err := pack(form, plain, e)
		if err != nil {
			return nil, did, fmt.Errorf("compressing a file: %w", err)
		}
		if int64(len(packed)) >= size-size/10 {
			break // nor will the others be worth it
		}
		if err := b.write(name, packed); err != nil {
			return nil, did, fmt.Errorf("compressing a file: %w", err)
		}
		forms = append(forms, form)
	}
	return forms, did, nil
}

func (b blobs) write(name string, content []byte) error {
	tmp, err := os.CreateTemp(b.dir, ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err := tmp.Write(content); err != nil {
		return errors.Join(err, tmp.Close())
	}
	return b.settle(tmp, name)
}

func pack(form string, plain []byte, e effort) ([]byte, error) {
	var buf bytes.Buffer
	var w io.WriteCloser
	var err error
	switch form {
	case formBrotli:
		w = brotli.NewWriterLevel(&buf, map[effort]int{effortFast: 5, effortGood: 9, effortBest: brotli.BestCompression}[e])
	case formZstd:
		level := zstd.SpeedBestCompression
		if e == effortFast {
			level = zstd.SpeedDefault
		}
		w, err = zstd.NewWriter(&buf, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
	default:
		w, err = gzip.NewWriterLevel(&buf, map[effort]int{effortFast: 5, effortGood: 9, effortBest: 9}[e])
	}
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// each yields the hash of every content and the names of its files.
func (b blobs) each(yield func(hash, file string) error) error {
	return filepath.WalkDir(b.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := d.Name()
		if len(name) < sha256.Size*2 {
			return nil
		}
		return yield(name[:sha256.Size*2], p)
	})
}

// removeOld removes a file unless somebody wrote it or found it to be there lately.
func (b blobs) removeOld(file string, now time.Time) error {
	b.use.Lock()
	defer b.use.Unlock()
	if !old(file, now) {
		return nil
	}
	return os.Remove(file)
}
