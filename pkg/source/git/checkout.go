package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// Bounds of one tree, besides those of pkg/source/pack.
const (
	maxPath  = 1024 // bytes, as an archive's
	maxDepth = 100  // folders in folders
	maxLink  = 4096 // bytes of a link's target
)

var lfsPointer = []byte("version https://git-lfs.github.com/spec/")

// checkout writes the files of a commit into an empty folder. Nothing is written outside of it whatever the tree says.
type checkout struct {
	ctx   context.Context // for each of a walk's many steps
	s     storer.EncodedObjectStorer
	root  *os.Root
	files int
	bytes int64
}

func writeTree(ctx context.Context, s storer.EncodedObjectStorer, tree plumbing.Hash, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("writing the pushed files: %w", err)
	}
	c := &checkout{ctx: ctx, s: s, root: root}
	return errors.Join(c.tree(tree, "", 0), root.Close())
}

func (c *checkout) tree(h plumbing.Hash, dir string, depth int) error {
	if depth > maxDepth {
		return model.Invalid("the folder %s is %d folders deep", shortPath(dir), depth).WithHint("at most %d fit", maxDepth)
	}
	t, err := object.GetTree(c.s, h)
	if err != nil {
		return model.Invalid("the folder %q of the push cannot be read", dir).Wrap(err).WithWhy("%s", err).WithHint("look at your repository: git fsck")
	}
	for _, e := range t.Entries {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		name := path.Join(dir, e.Name)
		if err := checkEntry(e.Name, name); err != nil {
			return err
		}
		if c.files++; c.files > pack.MaxFiles {
			return model.Errorf(model.KindTooLarge, "the push has more than %d files", pack.MaxFiles).WithHint("leave out what is built or fetched: .gitignore")
		}
		if err := c.entry(e, name, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *checkout) entry(e object.TreeEntry, name string, depth int) error {
	switch e.Mode {
	case filemode.Dir:
		if err := c.root.Mkdir(name, 0o755); err != nil {
			return unwritable(name, err)
		}
		return c.tree(e.Hash, name, depth+1)
	case filemode.Regular, filemode.Deprecated:
		return c.file(e.Hash, name, 0o644)
	case filemode.Executable:
		return c.file(e.Hash, name, 0o755)
	case filemode.Symlink:
		return c.link(e.Hash, name)
	case filemode.Submodule:
		return model.Invalid("%s is a submodule", name).WithWhy("its files are in another repository, which git does not push").
			WithHint("deploy the folder with them: git submodule update --init, then pandabox deploy; or put the files into this repository")
	}
	return model.Invalid("%s is neither a file, a folder nor a link", name).WithHint("look at your repository: git fsck")
}

func (c *checkout) blob(h plumbing.Hash, name string) (plumbing.EncodedObject, error) {
	o, err := c.s.EncodedObject(plumbing.BlobObject, h)
	if err != nil {
		return nil, model.Invalid("the file %s of the push cannot be read", name).Wrap(err).WithWhy("%s", err).WithHint("look at your repository: git fsck")
	}
	if c.bytes += o.Size(); c.bytes > pack.MaxBytes {
		return nil, model.Errorf(model.KindTooLarge, "the files of the push are more than %d GB", pack.MaxBytes>>30).WithHint("leave out what is built or fetched: .gitignore")
	}
	return o, nil
}

func (c *checkout) link(h plumbing.Hash, name string) error {
	o, err := c.blob(h, name)
	if err != nil {
		return err
	}
	to, err := content(o, maxLink)
	if err != nil || len(to) == 0 || bytes.IndexByte(to, 0) >= 0 {
		return model.Invalid("the link %s leads nowhere", name).WithHint("correct or remove it")
	}
	if err := c.root.Symlink(string(to), name); err != nil {
		return unwritable(name, err)
	}
	return nil
}

func (c *checkout) file(h plumbing.Hash, name string, mode os.FileMode) (err error) {
	o, err := c.blob(h, name)
	if err != nil {
		return err
	}
	r, err := o.Reader()
	if err != nil {
		return fmt.Errorf("reading %s of the push: %w", name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := c.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return unwritable(name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	begins := make([]byte, len(lfsPointer))
	n, err := io.ReadFull(r, begins)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("reading %s of the push: %w", name, err)
	}
	if bytes.Equal(begins[:n], lfsPointer) && o.Size() < 1024 {
		return model.Invalid("%s is a pointer of Git LFS, not the file itself", name).WithWhy("git push sends what LFS keeps elsewhere to nobody but its own server").
			WithHint("deploy the folder with its files: git lfs pull, then pandabox deploy")
	}
	if _, err = io.Copy(f, io.MultiReader(bytes.NewReader(begins[:n]), r)); err != nil {
		return fmt.Errorf("writing %s of the push: %w", name, err)
	}
	return nil
}

// checkEntry refuses names that mean something else than a file of this folder, here or where the files go.
func checkEntry(entry, name string) error {
	var why string
	switch {
	case entry == "" || entry == "." || entry == ".." || strings.ContainsAny(entry, "/\x00"):
		why = "it leads out of its folder"
	case isDotGit(entry):
		why = "git keeps its own files under such a name"
	case strings.ContainsFunc(entry, unicode.IsControl):
		why = "it holds a control character, like the end of a line"
	case len(name) > maxPath:
		why = fmt.Sprintf("it is %d bytes long, more than %d", len(name), maxPath)
	default:
		return nil
	}
	return model.Invalid("a file of the push is called %q", shortPath(name)).WithWhy("%s", why).WithHint("rename it: git mv")
}

// isDotGit tells whether some file system takes name for .git.
func isDotGit(name string) bool {
	name = strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) { // left out by HFS+
			return -1
		}
		return r
	}, name))
	name, _, _ = strings.Cut(name, ":")
	return slices.Contains([]string{".git", "git~1"}, strings.TrimRight(name, ". "))
}

func shortPath(name string) string {
	if len(name) > 100 {
		return name[:100] + "…"
	}
	return name
}

// unwritable is how a name is told that is there twice.
func unwritable(name string, err error) error {
	if errors.Is(err, os.ErrExist) {
		return model.Invalid("%s is in its folder twice", name).Wrap(err).WithHint("look at your repository: git fsck")
	}
	return fmt.Errorf("writing %s of the push: %w", name, err)
}
