package control

import (
	"context"
	"io"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// Images takes uploads.
type Images struct{ c *Control }

// Import streams an OCI layout or docker archive into the box. The image it returns goes into NewDeploy.Image. An
// image no release uses within the runtime's period of grace is reclaimed.
func (i *Images) Import(ctx context.Context, actor model.Actor, org string, r io.Reader) (model.Image, error) {
	if err := i.c.allowed(ctx, actor, identity.DeployCreate, org); err != nil {
		return model.Image{}, err
	}
	if i.c.cfg.Images == nil {
		return model.Image{}, missing("runtime")
	}
	return i.c.cfg.Images.Import(ctx, r)
}
