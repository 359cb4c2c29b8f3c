package daemon

import (
	"context"
	"path/filepath"

	"github.com/pandabox/pandabox/pkg/source"
	"github.com/pandabox/pandabox/pkg/source/forge"
)

// doors are the ways in for code besides the API.
type doors struct {
	source *source.Service
	forge  *forge.Server
}

// openDoors makes them; none answers yet.
func (p *parts) openDoors() (*doors, error) {
	s, err := source.New(source.Config{Control: p.control, TempDir: filepath.Join(p.cfg.DataDir, "trees")})
	if err != nil {
		return nil, err
	}
	f, err := forge.New(forge.Config{Control: p.control, Source: s, Logger: p.named("forge")})
	if err != nil {
		return nil, err
	}
	return &doors{source: s, forge: f}, nil
}

// run does what came in through them, until ctx ends.
func (d *doors) run(ctx context.Context) { d.forge.Run(ctx) }
