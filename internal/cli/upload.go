package cli

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// isArchive tells whether image names something on this machine rather than in a registry.
func isArchive(image string) bool {
	return image == "-" || strings.HasPrefix(image, "./") || strings.HasPrefix(image, "../") || filepath.IsAbs(image) ||
		slices.Contains([]string{".tar", ".tgz", ".gz"}, filepath.Ext(image))
}

// upload streams an image archive to the box.
func (sh *shell) upload(ctx context.Context, c *client.Client, image, dir string) (model.Image, error) {
	if !filepath.IsAbs(image) && image != "-" {
		image = filepath.Join(dir, image)
	}
	r, total, err := sh.openArchive(image)
	if err != nil {
		return model.Image{}, err
	}
	defer func() { _ = r.Close() }()
	p := sh.progress()
	defer p.Close()
	began := time.Now()
	var sent int64
	p.step("upload", "", began)
	img, err := c.ImportImage(ctx, r, func(n int64) {
		sent = n
		detail := size(n)
		if total > 0 {
			detail += " of " + size(total)
		}
		if n == total {
			detail += ", unpacking"
		}
		p.step("upload", detail, began)
	})
	p.end(err == nil, "upload", size(sent), time.Since(began))
	return img, err
}

// openArchive opens an image archive and tells its size, 0 where it is not known.
func (sh *shell) openArchive(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		if terminal(sh.in) != nil {
			return nil, 0, model.Invalid("no archive comes from a terminal").WithHint("docker save IMAGE | pandabox deploy --image -")
		}
		return io.NopCloser(sh.in), 0, nil
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, model.NotFound("there is no file %s", name).WithHint("a registry reference does not begin with . or /")
	}
	if err != nil {
		return nil, 0, model.Invalid("the image cannot be read").Wrap(err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, model.Invalid("the image cannot be read").Wrap(err)
	}
	if !st.IsDir() {
		return f, st.Size(), nil
	}
	if err := f.Close(); err != nil {
		return nil, 0, fmt.Errorf("closing %s: %w", name, err)
	}
	if !exists(filepath.Join(name, "oci-layout")) {
		return nil, 0, model.Invalid("%s is a folder, and no OCI layout", name).WithHint("give an image archive; to build a folder, run pandabox deploy in it")
	}
	return packFolder(name), 0, nil
}

// folderTar is a folder as a tar archive, made as it is read. Close ends the making.
type folderTar struct {
	*io.PipeReader
	made chan struct{}
}

func packFolder(dir string) *folderTar {
	r, w := io.Pipe()
	f := &folderTar{PipeReader: r, made: make(chan struct{})}
	go func() {
		defer close(f.made)
		t := tar.NewWriter(w)
		err := t.AddFS(os.DirFS(dir))
		if err == nil {
			err = t.Close()
		}
		_ = w.CloseWithError(err)
	}()
	return f
}

// Close ends the making of the archive and waits for it.
func (f *folderTar) Close() error {
	err := f.PipeReader.Close()
	<-f.made
	return err
}
