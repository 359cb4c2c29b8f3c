package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// Fetched is a new repository for what is fetched from elsewhere. What a pack holds is bounded as that of a push is, before
// anything of it is held in memory: a few bytes of a pack may stand for any number.
type Fetched struct {
	*repo
	ctx   context.Context // an io.Writer has no other way to one
	looks chan struct{}
}

// OpenFetched opens a repository in an empty folder. A pack is looked through with a place among looks. The caller closes
// it.
func OpenFetched(ctx context.Context, dir string, looks chan struct{}) *Fetched {
	return &Fetched{openRepo(dir), ctx, looks}
}

// PackfileWriter implements storer.PackfileWriter.
func (f *Fetched) PackfileWriter() (io.WriteCloser, error) {
	if err := os.MkdirAll(f.packDir(), 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for a pack: %w", err)
	}
	file, err := os.CreateTemp(f.packDir(), newFile)
	if err != nil {
		return nil, fmt.Errorf("taking a pack: %w", err)
	}
	return &fetchedPack{f, file}, nil
}

type fetchedPack struct {
	to   *Fetched
	file *os.File
}

func (p *fetchedPack) Write(b []byte) (int, error) { return p.file.Write(b) }

// Close puts the pack into the repository. A pack without a byte is none.
func (p *fetchedPack) Close() (err error) {
	defer func() { err = errors.Join(err, p.file.Close()) }()
	defer func() { _ = os.Remove(p.file.Name()) }()
	n, err := p.file.Seek(0, io.SeekCurrent)
	if err != nil || n == 0 {
		return err
	}
	select {
	case p.to.looks <- struct{}{}:
		defer func() { <-p.to.looks }()
	case <-p.to.ctx.Done():
		return p.to.ctx.Err()
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading a pack: %w", err)
	}
	scan := packfile.NewScanner(p.file)
	if err := scanPack(scan, DefaultMaxBlob); err != nil {
		return err
	}
	sum, err := scan.Checksum()
	if err != nil {
		return err
	}
	if err := indexPack(p.file, filepath.Join(p.to.packDir(), "pack-"+sum.String())); err != nil {
		return err
	}
	p.to.Reindex()
	return nil
}
