package ociimage

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// rootfs writes a large root file system as a layer in a file: a tar in zstd, without times. What is written first to a
// path stays.
type rootfs struct {
	file          *os.File
	zip           *zstd.Encoder
	tar           *tar.Writer
	plain, packed hash.Hash
	seen          map[string]bool
	keep          func(name string) bool // nil: everything
}

func newRootfs(name string, keep func(string) bool) (*rootfs, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("making the layer: %w", err)
	}
	r := &rootfs{file: f, plain: sha256.New(), packed: sha256.New(), seen: map[string]bool{".": true}, keep: keep}
	if r.zip, err = zstd.NewWriter(io.MultiWriter(f, r.packed), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
		return nil, errors.Join(fmt.Errorf("making the layer: %w", err), f.Close())
	}
	r.tar = tar.NewWriter(io.MultiWriter(r.zip, r.plain))
	return r, nil
}

// merged is a path of a file system where /bin, /sbin and /lib are links into /usr.
func merged(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	top, _, _ := strings.Cut(name, "/")
	switch top {
	case "bin", "sbin", "lib", "lib64":
		return "usr/" + name
	case "":
		return "."
	}
	return name
}

// put writes one entry.
func (r *rootfs) put(h tar.Header, content io.Reader) error {
	h.Name = merged(h.Name)
	if r.seen[h.Name] || r.keep != nil && h.Typeflag != tar.TypeDir && !r.keep(h.Name) {
		return nil
	}
	for dir := path.Dir(h.Name); !r.seen[dir]; dir = path.Dir(h.Name) {
		if err := r.put(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil); err != nil {
			return err
		}
	}
	r.seen[h.Name] = true
	out := tar.Header{Typeflag: h.Typeflag, Name: h.Name, Mode: h.Mode & 0o7777, Uid: h.Uid, Gid: h.Gid, Linkname: h.Linkname, Size: h.Size}
	switch h.Typeflag {
	case tar.TypeDir:
		out.Name += "/"
	case tar.TypeLink:
		out.Linkname = merged(h.Linkname)
	}
	if err := r.tar.WriteHeader(&out); err != nil {
		return fmt.Errorf("writing %s: %w", h.Name, err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	if _, err := io.Copy(r.tar, content); err != nil {
		return fmt.Errorf("writing %s: %w", h.Name, err)
	}
	return nil
}

func (r *rootfs) data(name string, f File) error {
	if f.Mode == 0 {
		f.Mode = 0o644
	}
	return r.put(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(f.Mode.Perm()), Size: int64(len(f.Data))}, bytes.NewReader(f.Data))
}

func (r *rootfs) link(name, target string) error {
	return r.put(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

// archive writes what a tar holds.
func (r *rootfs) archive(in io.Reader) error {
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = r.put(*h, t)
		}
		if err != nil {
			return err
		}
	}
}

// tree writes a folder of this machine below a path of the image.
func (r *rootfs) tree(at, dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		to := path.Join(at, filepath.ToSlash(rel))
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return r.link(to, target)
		case !d.Type().IsRegular():
			return nil // folders come with what is in them
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		return r.put(tar.Header{Typeflag: tar.TypeReg, Name: to, Mode: int64(info.Mode().Perm()), Size: info.Size()}, f)
	})
}

// close ends the layer; failed is what went wrong before.
func (r *rootfs) close(failed error) (v1.Layer, error) {
	if failed == nil {
		failed = r.tar.Close()
	}
	if err := r.zip.Close(); failed == nil {
		failed = err
	}
	st, err := r.file.Stat()
	if failed = errors.Join(failed, err, r.file.Close()); failed != nil {
		return nil, fmt.Errorf("writing the layer: %w", failed)
	}
	return &fileLayer{
		name: r.file.Name(), size: st.Size(),
		digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(r.packed.Sum(nil))},
		diffID: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(r.plain.Sum(nil))},
	}, nil
}

var _ v1.Layer = (*fileLayer)(nil)

// fileLayer is a layer in a file, compressed with zstd.
type fileLayer struct {
	name           string
	size           int64
	digest, diffID v1.Hash
}

// Digest implements v1.Layer.
func (l *fileLayer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID implements v1.Layer.
func (l *fileLayer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Compressed implements v1.Layer.
func (l *fileLayer) Compressed() (io.ReadCloser, error) { return os.Open(l.name) }

// Uncompressed implements v1.Layer.
func (l *fileLayer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.name)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// Size implements v1.Layer.
func (l *fileLayer) Size() (int64, error) { return l.size, nil }

// MediaType implements v1.Layer.
func (l *fileLayer) MediaType() (types.MediaType, error) { return types.OCILayerZStd, nil }
