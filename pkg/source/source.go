// Package source is the doors code comes in by besides the API: git push, forge webhooks and deploy hooks. Each ends in
// Service.Ship, which does with a tree of code what pandabox deploy does with a folder.
package source

import (
	"errors"
	"fmt"
	"os"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// Config is what the doors need.
type Config struct {
	Control *control.Control
	TempDir string // trees are unpacked below it; emptied by New
}

// Service brings trees of code to control. Its methods may be called from any goroutine.
type Service struct{ cfg Config }

// New prepares a Service, and removes what an earlier one left.
func New(c Config) (*Service, error) {
	if c.Control == nil || c.TempDir == "" {
		return nil, errors.New("source: no control or no folder for trees")
	}
	if err := os.RemoveAll(c.TempDir); err != nil {
		return nil, fmt.Errorf("emptying the folder for trees: %w", err)
	}
	if err := os.MkdirAll(c.TempDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for trees: %w", err)
	}
	return &Service{cfg: c}, nil
}

// Tree makes an empty folder for a tree. Whoever asked calls remove once the tree is shipped.
func (s *Service) Tree() (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp(s.cfg.TempDir, "tree-"); err != nil {
		return "", nil, fmt.Errorf("making a folder for a tree: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil // New removes what stays
}

// Arrival is a tree of code at one revision, and where it goes.
type Arrival struct {
	Org            string // its name; "" the default
	App            string // "" as the tree's pandabox.toml says
	Env            string // "" production
	Tree           string // a folder on this box with the files of the revision and nothing else; not changed
	Dir            string // the folder of it that is the app; "" the whole
	Revision       model.Revision
	Message        string // for the deploy's record
	IdempotencyKey string
}
