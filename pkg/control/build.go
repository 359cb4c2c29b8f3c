package control

import (
	"context"
	"io"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// UploadedSources takes source code.
type UploadedSources struct{ c *Control }

// Import streams an archive of source, made by pkg/source/pack, into the box. The digest of what it returns goes into
// NewDeploy.Build. A source no unfinished deploy names within a period of grace is reclaimed.
func (u *UploadedSources) Import(ctx context.Context, actor model.Actor, org string, r io.Reader) (model.Source, error) {
	if err := u.c.allowed(ctx, actor, identity.DeployCreate, org); err != nil {
		return model.Source{}, err
	}
	if u.c.cfg.Sources == nil {
		return model.Source{}, missing("builder")
	}
	return u.c.cfg.Sources.Import(ctx, r)
}

// Builds makes images and sites of source, and shows how.
type Builds struct{ c *Control }
