package static

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/model"
)

// Store keeps sites. Its methods may be called from any goroutine.
type Store struct {
	dir   string
	blobs blobs
	cache cache
}

// Open makes or opens the store of a directory.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir, blobs: blobs{filepath.Join(dir, "blobs")}}
	for _, d := range []string{s.blobs.dir, filepath.Join(dir, "sites")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("opening the store of sites: %w", err)
		}
	}
	return s, nil
}

// Import reads a tar archive of a site's files and keeps it; the same files give the same digest. An archive with links
// or devices, paths that leave the tree or say the same twice, broken rules, or more than the bounds of this package is
// refused with a *model.Error, and leaves nothing but contents that Reclaim removes.
func (s *Store) Import(ctx context.Context, r io.Reader) (digest string, site *Site, err error) {
	site = &Site{Files: map[string]File{}}
	in := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return "", nil, err
		}
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", nil, model.Invalid("the archive cannot be read").Wrap(err).WithWhy("%s", err).WithHint("pandabox deploy makes it; upload it again")
		}
		if err := s.take(site, h, in); err != nil {
			return "", nil, err
		}
	}
	if len(site.Files) == 0 {
		return "", nil, model.Invalid("the site has no files").WithHint("name the folder that holds index.html: [static] dir = \"dist\"")
	}
	text, digest, err := site.encode()
	if err != nil {
		return "", nil, err
	}
	return digest, site, s.keep(digest, text)
}

// take reads one entry of an archive.
func (s *Store) take(site *Site, h *tar.Header, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	default:
		return model.Invalid("%s is no plain file", clip(h.Name)).WithWhy("links and devices are not served").WithHint("put a copy of the file in its place")
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if name == redirectsFile || name == headersFile {
		return site.rules(name, r)
	}
	if _, twice := site.Files[name]; twice {
		return model.Invalid("%s is in the archive twice", clip(name))
	}
	if len(site.Files) >= MaxFiles {
		return model.Errorf(model.KindTooLarge, "the site has more than %d files", MaxFiles)
	}
	limit := min(MaxFile, MaxSite-site.Bytes)
	hash, size, tooLarge, err := s.blobs.put(r, limit)
	switch {
	case err != nil:
		return err
	case tooLarge && limit < MaxFile:
		return model.Errorf(model.KindTooLarge, "the site is larger than %d GB", MaxSite>>30)
	case tooLarge:
		return model.Errorf(model.KindTooLarge, "%s is larger than %d MB", clip(name), MaxFile>>20).WithHint("keep large files in a volume or an object store")
	}
	f := File{Hash: hash, Size: size}
	if worthCompressing(typeOf(name)) {
		if f.Forms, err = s.blobs.compress(hash, size); err != nil {
			return err
		}
	}
	site.Files[name] = f
	site.Bytes += size
	return nil
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
