package pack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/pandabox/pandabox/pkg/model"
)

// maxWindow bounds the memory that unpacking takes, in bytes.
const maxWindow = 64 << 20

// Unpack writes an archive made by Pack into the empty folder dir. Nothing is written outside of it whatever the archive
// says; after an error the folder holds a part.
func Unpack(ctx context.Context, r io.Reader, dir string) (Summary, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return Summary{}, fmt.Errorf("unpacking: %w", err)
	}
	defer z.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Summary{}, fmt.Errorf("unpacking: %w", err)
	}
	defer func() { _ = root.Close() }()
	var s Summary
	t := tar.NewReader(ending{ctx, z})
	for {
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		if err != nil {
			return s, model.Invalid("the archive of the source cannot be read").Wrap(err).WithWhy("%s", err).WithHint("upload it again: pandabox deploy")
		}
		if s.Files++; s.Files > MaxFiles {
			return s, model.Errorf(model.KindTooLarge, "the source has more than %d files", MaxFiles)
		}
		n, err := put(root, h, t, MaxBytes-s.Bytes)
		if err != nil {
			return s, err
		}
		s.Bytes += n
	}
}

// ending is a reader that ends with a context.
type ending struct {
	ctx context.Context
	r   io.Reader
}

func (e ending) Read(b []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.r.Read(b)
}

// put writes one entry of at most limit bytes.
func put(root *os.Root, h *tar.Header, r io.Reader, limit int64) (int64, error) {
	if err := checkName(h.Name); err != nil {
		return 0, err
	}
	if dir := path.Dir(h.Name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return 0, refused(h.Name, err)
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeSymlink:
		if h.Linkname == "" || strings.ContainsRune(h.Linkname, 0) {
			return 0, model.Invalid("the link %s leads nowhere", h.Name)
		}
		if err := root.Symlink(h.Linkname, h.Name); err != nil {
			return 0, refused(h.Name, err)
		}
		return 0, nil
	default:
		return 0, model.Invalid("%s is neither a file nor a link", h.Name)
	}
	if h.Size > limit {
		return 0, model.Errorf(model.KindTooLarge, "the source has more than %d GB", MaxBytes>>30)
	}
	mode := fs.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	f, err := root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return 0, refused(h.Name, err)
	}
	n, err := io.Copy(f, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return n, fmt.Errorf("unpacking %s: %w", h.Name, err)
	}
	return n, nil
}

// refused is how an entry is told that leads out of the folder, is there twice, or goes through a file.
func refused(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return model.Invalid("%s is in the archive twice", name).Wrap(err)
	}
	return model.Invalid("%s cannot be unpacked", name).Wrap(err).WithWhy("%s", err)
}
