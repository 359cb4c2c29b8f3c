package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/pandabox/pandabox/pkg/model"
)

// checkout is a folder of a git work tree, read on a machine that has no git.
type checkout struct {
	dir  string // absolute
	root string // of the work tree
	rel  string // of dir below root, with slashes; "." for the root itself
	*filesystem.Storage
}

// findCheckout returns the work tree that dir is in, nil where it is in none.
func findCheckout(dir string) (*checkout, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", dir, err)
	}
	c := &checkout{dir: at, root: at}
	for ; ; c.root = filepath.Dir(c.root) {
		st, err := os.Lstat(filepath.Join(c.root, ".git"))
		switch {
		case err == nil && !st.IsDir(): // of a linked work tree, or a submodule
			return nil, model.Invalid("git is not installed, and it alone can read the work tree %s", c.root).
				WithHint("install git, or copy the folder out of it")
		case err == nil:
			rel, err := filepath.Rel(c.root, at)
			if err != nil {
				return nil, fmt.Errorf("finding %s: %w", dir, err)
			}
			c.rel = filepath.ToSlash(rel)
			c.Storage = filesystem.NewStorage(osfs.New(filepath.Join(c.root, ".git"), osfs.WithBoundOS()), cache.NewObjectLRUDefault())
			return c, nil
		case c.root == filepath.Dir(c.root):
			return nil, nil
		}
	}
}

// below returns a path of the work tree as one of the folder.
func (c *checkout) below(name string) (string, bool) {
	if c.rel == "." {
		return name, true
	}
	return strings.CutPrefix(name, c.rel+"/")
}

// tracked returns what git knows of the folder, by path.
func (c *checkout) tracked() (map[string]*index.Entry, error) {
	idx, err := c.Index()
	if err != nil {
		return nil, model.Invalid("git is not installed, and its repository cannot be read").Wrap(err).WithWhy("%s", err).WithHint("install git")
	}
	out := map[string]*index.Entry{}
	for _, e := range idx.Entries {
		if name, ok := c.below(e.Name); ok {
			out[name] = e
		}
	}
	return out, nil
}

// list returns what fromGit does.
func (c *checkout) list() ([]string, error) {
	patterns, err := gitignore.ReadPatterns(osfs.New(c.root, osfs.WithBoundOS()), nil)
	if err != nil {
		return nil, fmt.Errorf("reading .gitignore: %w", err)
	}
	if own, err := gitignore.LoadGlobalPatterns(osfs.New("/")); err == nil { // of the person
		patterns = append(own, patterns...)
	}
	match := gitignore.NewMatcher(patterns)
	if c.rel != "." && match.Match(strings.Split(c.rel, "/"), true) {
		return nil, nil // deployed for its own sake
	}
	tracked, err := c.tracked()
	if err != nil {
		return nil, err
	}
	files := []string{}
	for name, e := range tracked {
		st, err := os.Lstat(filepath.Join(c.dir, filepath.FromSlash(name)))
		switch {
		case e.Mode == filemode.Submodule:
			return nil, model.Invalid("git is not installed, and it alone can read the submodule %s", name).WithHint("install git")
		case errors.Is(err, fs.ErrNotExist): // deleted, and git not yet told
		case err != nil:
			return nil, fmt.Errorf("looking at %s: %w", name, err)
		case !st.IsDir():
			files = append(files, name)
		}
	}
	return c.untracked(files, tracked, match)
}

// untracked adds to files those git does not know and does not ignore.
func (c *checkout) untracked(files []string, tracked map[string]*index.Entry, match gitignore.Matcher) ([]string, error) {
	err := fs.WalkDir(os.DirFS(c.dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case match.Match(strings.Split(path.Join(c.rel, name), "/"), d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && tracked[name] == nil:
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the files: %w", err)
	}
	return files, nil
}
