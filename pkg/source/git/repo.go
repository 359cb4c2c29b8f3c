package git

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	refsFile    = "packed-refs"
	shallowFile = "shallow"
	branches    = "refs/heads/"
	tags        = "refs/tags/"
	newFile     = "new-"   // begins the names of files that are not written to the end
	mergeFile   = "merge-" // of a pack that many are made to
	objectCache = 16 << 20 // bytes
	largeObject = 1 << 20  // bytes; larger ones are read from the disk as they are used
)

// repo is one repository, or the objects of a push beside it. Its refs are read and written whole.
type repo struct {
	dir string
	*filesystem.Storage
}

// openRepo opens a repository, which need not be there.
func openRepo(dir string) *repo {
	return &repo{dir, filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(objectCache),
		filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: largeObject})}
}

func (r *repo) packDir() string { return filepath.Join(r.dir, "objects", "pack") }

// make creates the repository where it is not there.
func (r *repo) make(head string) error {
	if _, err := os.Stat(filepath.Join(r.dir, "HEAD")); err == nil {
		return nil
	}
	for _, dir := range []string{r.packDir(), filepath.Join(r.dir, "refs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making a repository: %w", err)
		}
	}
	if err := writeWhole(filepath.Join(r.dir, "config"), []byte("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")); err != nil {
		return err
	}
	return writeWhole(filepath.Join(r.dir, "HEAD"), []byte("ref: "+head+"\n"))
}

// head returns the branch that HEAD means.
func (r *repo) head() string {
	b, err := os.ReadFile(filepath.Join(r.dir, "HEAD"))
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.TrimSpace(string(b)), "ref: ")
}

// refs returns the branches and tags.
func (r *repo) refs() (map[string]plumbing.Hash, error) {
	out := map[string]plumbing.Hash{}
	return out, eachLine(filepath.Join(r.dir, refsFile), func(line string) {
		if hash, name, ok := strings.Cut(line, " "); ok && len(hash) == 40 {
			out[name] = plumbing.NewHash(hash)
		}
	})
}

// setRefs replaces all branches and tags at once.
func (r *repo) setRefs(refs map[string]plumbing.Hash) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		fmt.Fprintf(&b, "%s %s\n", refs[name], name)
	}
	return writeWhole(filepath.Join(r.dir, refsFile), []byte(b.String()))
}

// shallows returns the commits whose parents are not there.
func (r *repo) shallows() (map[plumbing.Hash]bool, error) {
	out := map[plumbing.Hash]bool{}
	return out, eachLine(filepath.Join(r.dir, shallowFile), func(line string) {
		if len(line) == 40 {
			out[plumbing.NewHash(line)] = true
		}
	})
}

func (r *repo) setShallows(all map[plumbing.Hash]bool) error {
	lines := make([]string, 0, len(all))
	for _, h := range sortedHashes(all) {
		lines = append(lines, h.String()+"\n")
	}
	return writeWhole(filepath.Join(r.dir, shallowFile), []byte(strings.Join(lines, "")))
}

func sortedHashes(all map[plumbing.Hash]bool) []plumbing.Hash {
	return slices.SortedFunc(maps.Keys(all), func(a, b plumbing.Hash) int { return slices.Compare(a[:], b[:]) })
}

// adopt moves a pack and its index, which are on the disk, into the repository.
func (r *repo) adopt(from string) error {
	names, err := packsIn(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		for _, ext := range []string{".pack", ".idx"} { // git looks for the index
			if err := os.Rename(filepath.Join(from, name+ext), filepath.Join(r.packDir(), name+ext)); err != nil {
				return fmt.Errorf("keeping a pack: %w", err)
			}
		}
	}
	return syncDir(r.packDir())
}

// packsIn returns the names of the packs in a folder, without their endings, sorted.
func packsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("looking through the packs: %w", err)
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".idx"); ok {
			out = append(out, name)
		}
	}
	return out, nil
}

// sweep removes files that were never written to the end, and packs and indexes without the other half: one of those is
// half way into the repository, or out of it, so that nothing needs it, and nothing can be read beside it.
func (r *repo) sweep() error {
	var errs []error
	for _, dir := range []string{r.dir, r.packDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking through a repository: %w", err)
		}
		there := map[string]bool{}
		for _, e := range entries {
			there[e.Name()] = true
		}
		for name := range there {
			pack, isPack := strings.CutSuffix(name, ".pack")
			index, isIndex := strings.CutSuffix(name, ".idx")
			if isPack && !there[pack+".idx"] || isIndex && !there[index+".pack"] || strings.HasPrefix(name, newFile) || strings.HasPrefix(name, mergeFile) {
				errs = append(errs, os.Remove(filepath.Join(dir, name)))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing what a push left: %w", err)
	}
	return nil
}

func eachLine(file string, yield func(string)) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading a repository: %w", err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		yield(lines.Text())
	}
	return lines.Err()
}

// writeWhole replaces a file, on the disk when it returns.
func writeWhole(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), newFile)
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(file), err)
	}
	_, err = f.Write(content)
	err = errors.Join(cmp.Or(err, f.Sync()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", filepath.Base(file), err)
	}
	return syncDir(filepath.Dir(file))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
