package control

import (
	"context"
	"io"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Bases are the images that builds find on the box, without a registry. They are the whole box's.
type Bases struct{ c *Control }

// Add keeps the images of an archive under the names it has for them; name, unless "", is for its one image.
func (b *Bases) Add(ctx context.Context, actor model.Actor, name string, r io.Reader) ([]model.BaseImage, error) {
	if err := b.c.allowed(ctx, actor, identity.BuildBases, model.DefaultOrg); err != nil {
		return nil, err
	}
	if b.c.cfg.Bases == nil {
		return nil, missing("runtime")
	}
	out, err := b.c.cfg.Bases.AddBases(ctx, r, name)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, one := range out {
		names = append(names, one.Name)
	}
	return out, b.record(ctx, actor, "base.add", strings.Join(names, ", "))
}

// List returns the base images by name.
func (b *Bases) List(ctx context.Context, actor model.Actor) ([]model.BaseImage, error) {
	if err := b.c.allowed(ctx, actor, identity.BuildBases, model.DefaultOrg); err != nil {
		return nil, err
	}
	if b.c.cfg.Bases == nil {
		return nil, missing("runtime")
	}
	return b.c.cfg.Bases.Bases(ctx)
}

// Remove forgets a base image. What was built of it stays.
func (b *Bases) Remove(ctx context.Context, actor model.Actor, name string) error {
	if err := b.c.allowed(ctx, actor, identity.BuildBases, model.DefaultOrg); err != nil {
		return err
	}
	if b.c.cfg.Bases == nil {
		return missing("runtime")
	}
	if err := b.c.cfg.Bases.RemoveBase(ctx, name); err != nil {
		return err
	}
	return b.record(ctx, actor, "base.remove", name)
}

func (b *Bases) record(ctx context.Context, actor model.Actor, action, what string) error {
	return b.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := b.c.boxOrg(tx, actor, identity.BuildBases)
		if err != nil {
			return err
		}
		return b.c.record(tx, actor, o.ID, action, what, "")
	})
}
