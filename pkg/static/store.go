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

// unnamedFor is how long contents that no site names are kept: they may belong to an upload that goes on.
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

// Reclaim removes the sites whose digests are not in keep, and the contents that no kept site has. What is younger than
// an hour stays.
func (s *Store) Reclaim(keep []string, now time.Time) error {
	wanted := map[string]bool{}
	for _, digest := range keep {
		wanted[s.siteFile(digest)] = true
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "sites", "*"))
	if err != nil {
		return fmt.Errorf("reclaiming sites: %w", err)
	}
	named := map[string]bool{}
	var errs []error
	for _, file := range files {
		if !wanted[file] && old(file, now) {
			gone, err := s.blobs.removeOld(file, now)
			if errs = append(errs, err); gone {
				continue
			}
		}
		site, err := s.Site("sha256:" + filepath.Base(file))
		if err != nil { // without its list nobody knows which contents it needs
			return errors.Join(append(errs, err)...)
		}
		for _, f := range site.Files {
			named[f.Hash] = true
		}
	}
	errs = append(errs, s.blobs.each(func(hash, file string) error {
		if named[hash] || !old(file, now) {
			return nil
		}
		_, err := s.blobs.removeOld(file, now)
		return err
	}))
	for _, dir := range []string{s.dir, s.blobs.dir} {
		temporary, err := filepath.Glob(filepath.Join(dir, ".new-*"))
		errs = append(errs, err)
		for _, file := range temporary {
			_, err := s.blobs.removeOld(file, now)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func old(file string, now time.Time) bool {
	st, err := os.Stat(file)
	return err == nil && now.Sub(st.ModTime()) > unnamedFor
}
