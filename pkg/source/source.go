// Package source is the doors code comes in by besides the API: git push, forge webhooks and deploy hooks. Each ends in
// Service.Ship, which does with a tree of code what pandabox deploy does with a folder.
package source

import (
	"context"
	"errors"

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

// New prepares a Service.
func New(c Config) (*Service, error) {
	if c.Control == nil || c.TempDir == "" {
		return nil, errors.New("source: no control or no folder for trees")
	}
	return &Service{cfg: c}, nil
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

// Ship deploys a tree as its pandabox.toml says and returns at once, as control.Deploys.Create does: a container app or
// site is built from it, a function is bundled. What is wrong with it is a *model.Error.
func (s *Service) Ship(ctx context.Context, actor model.Actor, a Arrival) (control.Deploy, error) {
	return control.Deploy{}, errors.New("source: not there yet")
}
