package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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
// above the upload would take too long (brotli at its best takes about a second a MiB).
const (
	minCompress = 256
	maxCompress = 8 << 20
)

// blobs are contents by their SHA-256, on disk.
type blobs struct{ dir string }

func (b blobs) path(hash, form string) string {
	p := filepath.Join(b.dir, hash[:2], hash)
	if form != "" {
		p += "." + form
	}
	return p
}

// put reads a content of at most limit bytes and keeps it. Nothing is written twice. tooLarge tells that there was more.
func (b blobs) put(r io.Reader, limit int64) (hash string, size int64, tooLarge bool, err error) {
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
	if err == nil {
		err = b.settle(tmp, b.path(hash, ""))
	} else {
		_ = tmp.Close()
	}
	if err != nil {
		return "", 0, false, fmt.Errorf("keeping a file: %w", err)
	}
	return hash, size, false, nil
}

// settle gives a written file its name. It is durable once sync has run.
func (b blobs) settle(tmp *os.File, name string) error {
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// compress makes the forms of a content that are at least a tenth smaller, and returns their names, best first.
func (b blobs) compress(hash string, size int64) ([]string, error) {
	if size < minCompress || size > maxCompress {
		return nil, nil
	}
	var plain []byte
	var out []string
	for _, form := range []string{formBrotli, formZstd, formGzip} {
		name := b.path(hash, form)
		if st, err := os.Stat(name); err == nil {
			if st.Size() < size-size/10 {
				out = append(out, form)
			}
			continue
		}
		if plain == nil {
			var err error
			if plain, err = os.ReadFile(b.path(hash, "")); err != nil {
				return nil, fmt.Errorf("compressing a file: %w", err)
			}
		}
		packed, err := pack(form, plain)
		if err != nil {
			return nil, fmt.Errorf("compressing a file: %w", err)
		}
		if int64(len(packed)) >= size-size/10 {
			continue
		}
		tmp, err := os.CreateTemp(b.dir, ".new-")
		if err != nil {
			return nil, fmt.Errorf("compressing a file: %w", err)
		}
		_, err = tmp.Write(packed)
		if err == nil {
			err = b.settle(tmp, name)
		}
		_ = os.Remove(tmp.Name())
		if err != nil {
			return nil, fmt.Errorf("compressing a file: %w", err)
		}
		out = append(out, form)
	}
	return out, nil
}

// bestSize bounds what brotli's greatest effort is spent on, in bytes.
const bestSize = 512 << 10

func pack(form string, plain []byte) ([]byte, error) {
	var buf bytes.Buffer
	var w io.WriteCloser
	var err error
	switch form {
	case formBrotli:
		level := 9
		if len(plain) <= bestSize {
			level = brotli.BestCompression
		}
		w = brotli.NewWriterLevel(&buf, level)
	case formZstd:
		w, err = zstd.NewWriter(&buf, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	default:
		w, err = gzip.NewWriterLevel(&buf, gzip.BestCompression)
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
