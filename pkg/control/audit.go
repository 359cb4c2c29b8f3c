package control

import (
	"context"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Audit is the record of who did what.
type Audit struct{ c *Control }

// List returns the org's audit events, newest first. What concerns the box itself is with the default org.
func (a *Audit) List(ctx context.Context, actor model.Actor, org string, p Page) (out List[model.AuditEvent], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = a.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := a.c.org(tx, actor, identity.AuditRead, org)
		if err != nil {
			return err
		}
		found, next, err := tx.Audit(o.ID, cur.after, cur.limit)
		out = page(found, next)
		return err
	})
	return out, err
}
