package static

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
)

// Store keeps sites. Its methods may be called from any goroutine.
type Store struct {
	dir   string
	blobs blobs
	cache cache
	free  func() (int64, error) // bytes of the disk

	imports sync.RWMutex // held for reading by every import, whose contents no site names yet
	named   sync.Map     // files of sites that somebody wanted kept since they were imported
}

// Open makes or opens the store of a directory.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir, blobs: blobs{dir: filepath.Join(dir, "blobs"), use: new(sync.RWMutex)}, free: func() (int64, error) { return free(dir) }}
	for _, d := range []string{s.blobs.dir, filepath.Join(dir, "sites")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("opening the store of sites: %w", err)
		}
	}
	return s, nil
}

// Import reads a tar archive of a site's files and keeps it; the same files give the same site. An archive with links
// or devices, paths that leave the tree or say the same twice, broken rules, or more than the bounds of this package is
// refused with a *model.Error, and leaves nothing behind. Hidden files are left out.
func (s *Store) Import(ctx context.Context, r io.Reader) (digest string, site *Site, err error) {
	return s.gather(ctx, func(g *gatherer) error {
		in := tar.NewReader(r)
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return model.Invalid("the archive cannot be read").Wrap(err).WithWhy("%s", err).WithHint("pandabox deploy makes it; upload it again")
			}
			switch h.Typeflag {
			case tar.TypeReg:
			case tar.TypeDir, tar.TypeXGlobalHeader:
				continue
			default:
				return noFile(h.Name)
			}
			if err := g.take(h.Name, in); err != nil {
				return err
			}
		}
	})
}

// ImportDir is Import for a folder. A link in it may lead to a file in it.
func (s *Store) ImportDir(ctx context.Context, dir string) (digest string, site *Site, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", nil, fmt.Errorf("opening the site's folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	return s.gather(ctx, func(g *gatherer) error {
		return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
			if err = errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if e.IsDir() {
				if name != "." && hidden(name+"/x") {
					return fs.SkipDir
				}
				return nil
			}
			if hidden(name) {
				return nil
			}
			return g.open(root, name)
		})
	})
}

// gatherer collects the files of a site.
type gatherer struct {
	free func() (int64, error)
	into blobs
	site *Site
	room int64 // bytes until the disk is looked at again
	pack *squeezer
	said map[string]bool // files of rules that were read
}

// gather keeps the site that from takes.
func (s *Store) gather(ctx context.Context, from func(*gatherer) error) (digest string, site *Site, err error) {
	s.imports.RLock()
	defer s.imports.RUnlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	into := s.blobs
	into.made = new(sync.Map)
	g := &gatherer{free: s.free, into: into, site: &Site{Files: map[string]File{}}, pack: squeeze(ctx, into), said: map[string]bool{}, room: lookEvery}
	if err = from(g); err != nil {
		cancel() // what is still to be compressed is not wanted any more
	}
	if perr := g.pack.wait(g.site); err == nil {
		err = perr
	}
	if len(g.site.Files) == 0 && err == nil {
		err = model.Invalid("the site has no files").WithHint("name the folder that holds index.html: [static] dir = \"dist\"")
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = noSpace(err, 0)
	}
	if err != nil {
		return "", nil, errors.Join(err, into.takeBack())
	}
	text, digest, err := g.site.encode()
	if err != nil {
		return "", nil, err
	}
	return digest, g.site, s.keep(digest, text)
}

// open takes a file of a folder.
func (g *gatherer) open(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // or a pipe would wait for its other end
	if err != nil {
		return noFile(name).Wrap(err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading %s: %w", clip(name), err)
	}
	if !st.Mode().IsRegular() {
		return noFile(name)
	}
	return g.take(name, f)
}

func noFile(name string) *model.Error {
	return model.Invalid("%s is no plain file", clip(name)).WithWhy("devices are not served, nor are links that lead to no file of the site").
		WithHint("put a copy of the file in its place")
}

// take keeps one file.
func (g *gatherer) take(name string, r io.Reader) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	site := g.site
	if hidden(name) {
		return nil
	}
	_, twice := site.Files[name]
	if twice || g.said[name] {
		return model.Invalid("%s is in the archive twice", clip(name))
	}
	if name == redirectsFile || name == headersFile {
		g.said[name] = true
		return site.rules(name, r)
	}
	if len(site.Files) >= MaxFiles {
		return model.Errorf(model.KindTooLarge, "the site has more than %d files", MaxFiles)
	}
	limit := min(MaxFile, MaxSite-site.Bytes)
	hash, size, tooLarge, err := g.into.put(r, limit)
	switch {
	case err != nil:
		return err
	case tooLarge && limit < MaxFile:
		return model.Errorf(model.KindTooLarge, "the site is larger than %d GB", MaxSite>>30)
	case tooLarge:
		return model.Errorf(model.KindTooLarge, "%s is larger than %d MB", clip(name), MaxFile>>20).WithHint("keep large files in a volume or an object store")
	}
	f := File{Hash: hash, Size: size}
	site.Files[name] = f
	site.Bytes += size
	g.pack.add(name, f)
	if g.room -= size; g.room < 0 {
		g.room = lookEvery
		return g.checkRoom()
	}
	return nil
}

// What an import leaves free of the disk, and how many bytes it may write between two looks at that.
const (
	keepFree  = 512 << 20
	lookEvery = 32 << 20
)

// checkRoom refuses to fill the disk: apps and pandabox itself need some of it.
func (g *gatherer) checkRoom() error {
	if left, err := g.free(); err == nil && left < keepFree {
		return noSpace(nil, left)
	}
	return nil
}

func noSpace(cause error, left int64) error {
	return model.Errorf(model.KindNoSpace, "there is no room for the site").Wrap(cause).WithWhy("%d MB of the disk are left", left>>20).
		WithHint("make room: pandabox build prune; see pandabox doctor")
}

// hidden tells whether a file is not for visitors: one below a name that begins with a dot, but for /.well-known, or what
// pandabox itself reads.
func hidden(name string) bool {
	if name == "pandabox.toml" {
		return true
	}
	name = strings.TrimPrefix(name, ".well-known/")
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// rules reads a file of rules.
func (site *Site) rules(name string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxRuleFile+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading %s: %w", name, err)
	case len(text) > maxRuleFile:
		return model.Errorf(model.KindTooLarge, "%s is larger than %d KB", name, maxRuleFile>>10)
	case !utf8.Valid(text):
		return model.Invalid("%s is not text", name)
	}
	if name == redirectsFile {
		site.Redirects, err = parseRedirects(string(text))
	} else {
		site.Headers, err = parseHeaders(string(text))
	}
	return err
}

// cleanName returns a path of an archive as sites keep it.
func cleanName(name string) (string, error) {
	clean := path.Clean(strings.TrimPrefix(name, "./"))
	switch {
	case strings.HasPrefix(name, "/"), clean == "..", strings.HasPrefix(clean, "../"), strings.Contains("/"+name+"/", "/../"):
		return "", model.Invalid("%s leaves the site's folder", clip(name)).WithHint("pack the folder itself, with paths below it")
	case clean == ".", len(clean) > MaxPath, !utf8.ValidString(clean), strings.ContainsFunc(clean, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return "", model.Invalid("%s is not a path a site can have", clip(name)).WithHint("use up to %d bytes of UTF-8 without control characters and \\", MaxPath)
	}
	return clean, nil
}

// clip shows a name from outside in a message.
func clip(name string) string {
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	return fmt.Sprintf("%q", name)
}

// keep writes a site's list under its digest, once all its contents are durable: one flush of the file system instead
// of one for each of thousands of files.
func (s *Store) keep(digest string, text []byte) error {
	if err := flush(s.dir); err != nil {
		return fmt.Errorf("keeping a site: %w", err)
	}
	s.blobs.use.RLock()
	defer s.blobs.use.RUnlock()
	s.named.Delete(s.siteFile(digest))
	if err := writeWhole(s.dir, s.siteFile(digest), text); err != nil {
		return fmt.Errorf("keeping a site: %w", err)
	}
	return nil
}

// writeWhole writes a file durably: it is there whole or not at all. dir is where it is made.
func writeWhole(dir, name string, text []byte) error {
	tmp, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err = tmp.Write(text); err != nil {
		return errors.Join(err, tmp.Close())
	}
	return errors.Join(tmp.Sync(), tmp.Close(), os.Rename(tmp.Name(), name), syncDir(filepath.Dir(name)))
}

func (s *Store) siteFile(digest string) string {
	return filepath.Join(s.dir, "sites", strings.TrimPrefix(digest, "sha256:"))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
