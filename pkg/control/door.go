package control

import (
	"context"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Authorize answers whether actor has a permission in the org of that name; "" is the default org. A door asks it
// before it reads a body or begins a stream. It takes the place of no check of a use case.
func (c *Control) Authorize(ctx context.Context, actor model.Actor, p identity.Permission, org string) error {
	return c.allowed(ctx, actor, p, org)
}

// Last returns the Seq of the newest event, from which Stream goes on without missing any.
func (e *Events) Last(ctx context.Context, actor model.Actor, org string) (seq uint64, err error) {
	err = e.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		if _, err := e.c.org(tx, actor, identity.AppRead, org); err != nil {
			return err
		}
		seq = tx.LastEvent()
		return nil
	})
	return seq, err
}
