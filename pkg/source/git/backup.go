package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pandabox/pandabox/pkg/control"
)

var _ control.PushedTo = (*Repositories)(nil)

// Backup gives yield every file of every repository, by its path in the folder: APPID.git/HEAD. A repository that is larger
// than control lets back in is left out: the next push to it sends everything.
//
// What is given of one repository is of one moment, whatever is pushed meanwhile: its refs are read and its packs opened
// while nobody may change it. That takes no longer than opening them, at most 2 × (MaxPacks+1) files. They are copied
// with the lock let go, so that no push waits for whoever takes the backup: a pack never changes, and one that is
// removed while it is copied, since packs are made one, stays readable through the open file.
func (r *Repositories) Backup(ctx context.Context, yield func(name string, size int64, content io.Reader) error) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("looking through the repositories: %w", err)
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), repositoryEnds)
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.backupOne(ctx, id, yield); err != nil {
			return fmt.Errorf("backing up the repository of %s: %w", id, err)
		}
	}
	return nil
}

func (r *Repositories) backupOne(ctx context.Context, id string, yield func(string, int64, io.Reader) error) (err error) {
	files, err := r.open(id)
	defer func() {
		for _, f := range files {
			_ = f.Close() // nothing was written to it
		}
	}()
	if err != nil || len(files) > control.MaxRepositoryFiles {
		return err
	}
	sizes := make([]int64, len(files))
	for i, f := range files {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if sizes[i] = info.Size(); sizes[i] > control.MaxRepositoryFile {
			return nil
		}
	}
	for i, f := range files {
		name, err := filepath.Rel(r.dir, f.Name())
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(filepath.ToSlash(name), sizes[i], io.NewSectionReader(f, 0, sizes[i])); err != nil {
			return err
		}
	}
	return nil
}

// open opens what a repository consists of. The caller closes what is returned, also with an error. It is nothing where
// there is no whole repository.
func (r *Repositories) open(id string) (files []*os.File, err error) {
	defer r.share(id)()
	home := openRepo(r.dirOf(id))
	names := []string{"HEAD", "config", refsFile, shallowFile}
	packs, err := packsIn(home.packDir())
	if err != nil {
		return nil, err
	}
	for _, name := range packs {
		// Of packs that were not made one to the end there may be an index without a pack.
		if _, err := os.Stat(filepath.Join(home.packDir(), name+".pack")); err == nil {
			names = append(names, path.Join("objects/pack", name+".pack"), path.Join("objects/pack", name+".idx"))
		}
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(home.dir, filepath.FromSlash(name)))
		switch {
		case err == nil:
			files = append(files, f)
		case !errors.Is(err, fs.ErrNotExist):
			return files, err
		case name == "HEAD": // it is removed just now, or was never made to the end
			return files, nil
		}
	}
	return files, nil
}
