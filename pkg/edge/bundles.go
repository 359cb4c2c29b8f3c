package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// bundleGrace is how long an uploaded bundle is kept that no release names: a deploy is about to.
const bundleGrace = time.Hour

// bundles are the uploaded bundles, files under their digest.
type bundles struct {
	dir string
	mu  sync.Mutex // of what makes and removes files
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Import reads a bundle of at most model.MaxFunctionBundle bytes, checks it and keeps it. It is on the disk before Import
// returns. One that is there is kept for longer.
func (h *Host) Import(ctx context.Context, r io.Reader) (model.Bundle, error) {
	b, err := h.bundles.add(ctx, r)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return model.Bundle{}, err
	}
	return b, diskFull(err)
}

// Bundle returns a bundle that is kept; KindNotFound when none of that digest is.
func (h *Host) Bundle(_ context.Context, digest string) (model.Bundle, error) {
	b, err := h.bundles.read(digest)
	if err != nil {
		return model.Bundle{}, err
	}
	return b.Model(), nil
}

// ReclaimBundles removes bundles that are not in keep, that no started function needs, and that nobody uploaded for an
// hour.
func (h *Host) ReclaimBundles(keep []string) error {
	needed := map[string]bool{}
	for _, digest := range keep {
		needed[digest] = true
	}
	for _, f := range *h.table.Load() {
		needed[f.spec.Function.Digest] = true
	}
	return h.bundles.reclaim(func(digest string) bool { return needed[digest] }, h.cfg.Now().Add(-bundleGrace))
}

// BundlesDir is the directory of the bundles: files named by the hexadecimal part of their digests. Files whose names
// begin with a dot are half uploaded.
func (h *Host) BundlesDir() string { return h.bundles.dir }

func (s *bundles) path(digest string) string {
	return filepath.Join(s.dir, strings.TrimPrefix(digest, "sha256:"))
}

func (s *bundles) add(ctx context.Context, r io.Reader) (model.Bundle, error) {
	half, err := os.CreateTemp(s.dir, ".half-*")
	if err != nil {
		return model.Bundle{}, fmt.Errorf("making a file for the bundle: %w", err)
	}
	defer func() {
		_ = half.Close()
		_ = os.Remove(half.Name()) // gone already when all went well
	}()
	b, err := bundle.Read(io.TeeReader(readUntil{ctx, r}, half), model.MaxFunctionBundle)
	if err != nil {
		return model.Bundle{}, err
	}
	if err := checkSyntax(b); err != nil {
		return model.Bundle{}, err
	}
	if err := half.Sync(); err != nil {
		return model.Bundle{}, fmt.Errorf("keeping the bundle: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Rename(half.Name(), s.path(b.Digest)); err != nil {
		return model.Bundle{}, fmt.Errorf("keeping the bundle: %w", err)
	}
	return b.Model(), syncDir(s.dir)
}

// read reads a bundle and checks that it is what its name says.
func (s *bundles) read(digest string) (*bundle.Bundle, error) {
	if !digestForm.MatchString(digest) {
		return nil, model.Invalid("%q is not a bundle's digest", digest)
	}
	f, err := os.Open(s.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.NotFound("the code %s is not on this box", digest[:19]).WithHint("deploy the function again: pandabox fn deploy")
	}
	if err != nil {
		return nil, fmt.Errorf("opening the bundle: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := bundle.Read(f, model.MaxFunctionBundle)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	if b.Digest != digest {
		return nil, model.Errorf(model.KindInternal, "the code %s was changed on the disk", digest[:19]).
			WithHint("deploy the function again: pandabox fn deploy")
	}
	return b, nil
}

// code returns what a bundle holds, for an engine.
func (s *bundles) code(digest string) (guest.Code, error) {
	b, err := s.read(digest)
	if err != nil {
		return guest.Code{}, err
	}
	return guest.Code{Digest: digest, Main: b.Main, SourceMap: b.SourceMap}, nil
}

func (s *bundles) reclaim(needed func(digest string) bool, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("reading the bundles: %w", err)
	}
	var failed error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.ModTime().After(before) {
			continue
		}
		if digest := "sha256:" + e.Name(); strings.HasPrefix(e.Name(), ".half-") || digestForm.MatchString(digest) && !needed(digest) {
			failed = errors.Join(failed, os.Remove(filepath.Join(s.dir, e.Name())))
		}
	}
	return failed
}

// readUntil reads until ctx ends.
type readUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
