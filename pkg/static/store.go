package static

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// unnamedFor is how long sites that nobody names are kept, and contents that no site has: they may belong to an upload
// that goes on, or to a deploy about to begin.
const unnamedFor = time.Hour

// Site returns a kept site; one that is not there is a *model.Error of KindNotFound.
func (s *Store) Site(digest string) (*Site, error) {
	if err := (model.Static{Digest: digest}).Validate(); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(s.siteFile(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.NotFound("the site %.19s is not here", digest).WithHint("upload it again: pandabox deploy")
	} else if err != nil {
		return nil, fmt.Errorf("reading a site: %w", err)
	}
	var site Site
	if err := json.Unmarshal(b, &site); err != nil {
		return nil, fmt.Errorf("reading a site: %w", err)
	}
	return &site, nil
}

// Handler returns what answers for a site.
func (s *Store) Handler(o model.Static) (*Handler, error) {
	site, err := s.Site(o.Digest)
	if err != nil {
		return nil, err
	}
	return newHandler(s, site, o), nil
}

// Reclaim removes the sites whose digests are not in keep, and the contents that no kept site has. A site that was in no
// keep so far may belong to a deploy that is about to begin: it stays for an hour.
func (s *Store) Reclaim(keep []string, now time.Time) error {
	wanted := map[string]bool{}
	for _, digest := range keep {
		wanted[s.siteFile(digest)] = true
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "sites", "*"))
	if err != nil {
		return fmt.Errorf("reclaiming sites: %w", err)
	}
	var errs []error
	for _, file := range files {
		if wanted[file] {
			s.named.Store(file, true)
		} else {
			errs = append(errs, s.removeSite(file, now))
		}
	}
	return errors.Join(append(errs, s.reclaimContents(now))...)
}

// removeSite removes the list of a site unless it is too new to be sure that nobody wants it.
func (s *Store) removeSite(file string, now time.Time) error {
	s.blobs.use.Lock()
	defer s.blobs.use.Unlock()
	if _, named := s.named.Load(file); !named && !old(file, now) {
		return nil
	}
	s.named.Delete(file)
	return os.Remove(file)
}

// reclaimContents removes what no site has: at once where no import goes on, else what is old.
func (s *Store) reclaimContents(now time.Time) error {
	if s.imports.TryLock() {
		defer s.imports.Unlock()
		now = now.Add(2 * unnamedFor)
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "sites", "*"))
	if err != nil {
		return fmt.Errorf("reclaiming sites: %w", err)
	}
	named := map[string]bool{}
	for _, file := range files {
		site, err := s.Site("sha256:" + filepath.Base(file))
		if err != nil { // without its list nobody knows which contents it needs
			return err
		}
		for _, f := range site.Files {
			named[f.Hash] = true
		}
	}
	var errs []error
	errs = append(errs, s.blobs.each(func(hash, file string) error {
		if named[hash] {
			return nil
		}
		return s.blobs.removeOld(file, now)
	}))
	for _, dir := range []string{s.dir, s.blobs.dir} {
		temporary, err := filepath.Glob(filepath.Join(dir, ".new-*"))
		errs = append(errs, err)
		for _, file := range temporary {
			errs = append(errs, s.blobs.removeOld(file, now))
		}
	}
	return errors.Join(errs...)
}

func old(file string, now time.Time) bool {
	st, err := os.Stat(file)
	return err == nil && now.Sub(st.ModTime()) > unnamedFor
}
