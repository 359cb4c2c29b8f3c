package control

import (
	"context"
	"fmt"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// RotateKey makes a new master key and moves every variable to it, without opening their values. The keys before it
// stay in the key file, for backups. When it ends half way, everything still opens and it can be done again.
func (b *Box) RotateKey(ctx context.Context, actor model.Actor) error {
	err := b.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, err := b.c.boxOrg(tx, actor, identity.BoxRotate)
		return err
	})
	if err != nil {
		return err
	}
	// The key first, durably: what is sealed with it below must open after a crash.
	if err := b.c.keys.Rotate(); err != nil {
		return err
	}
	return b.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := b.c.boxOrg(tx, actor, identity.BoxRotate)
		if err != nil {
			return err
		}
		box, err := tx.Box()
		if err != nil {
			return err
		}
		if box.KeyCheck, _, err = b.c.keys.Rewrap(box.KeyCheck, keyCheck); err != nil {
			return fmt.Errorf("moving the key check to the new key: %w", err)
		}
		if err := tx.PutBox(box); err != nil {
			return err
		}
		if err := tx.EachConfig(func(cfg model.Config) error { return b.c.rewrap(tx, cfg) }); err != nil {
			return err
		}
		return b.c.record(tx, actor, o.ID, "box.rotate", "this box", fmt.Sprintf("master key version %d", b.c.keys.Version()))
	})
}

// rewrap moves a configuration's variables to the newest key.
func (c *Control) rewrap(tx *store.Tx, cfg model.Config) error {
	for name, v := range cfg.Variables {
		sealed, _, err := c.keys.Rewrap(v.Sealed, "variable", cfg.WorkloadID, name)
		if err != nil {
			return fmt.Errorf("moving %s to the new key: %w", name, err)
		}
		v.Sealed = sealed
		cfg.Variables[name] = v
	}
	return tx.PutConfig(cfg)
}
