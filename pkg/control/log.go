package control

import (
	"context"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Logs is what apps printed.
type Logs struct{ c *Control }

// Read gives the lines q chooses to yield, oldest first, and with q.Follow goes on until ctx ends or yield fails.
// q.WorkloadID is set from ref.
func (l *Logs) Read(ctx context.Context, actor model.Actor, ref Ref, q model.LogQuery, yield func(model.LogLine) error) error {
	err := l.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := l.c.find(tx, actor, identity.LogRead, ref)
		q.WorkloadID = pl.w.ID
		if err == nil && pl.app.Kind == model.KindStatic {
			return model.Invalid("%s is a static site, it prints nothing", pl.app.Name).WithHint("how it was built: pandabox builds log -a %s -e %s", pl.app.Name, pl.env.Name)
		}
		return err
	})
	if err != nil {
		return err
	}
	if l.c.cfg.Logs == nil {
		return missing("runtime")
	}
	return l.c.cfg.Logs.Logs(ctx, q, yield)
}
