package control

import (
	"context"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Protections keep environments from being changed by everybody.
type Protections struct{ c *Control }

// Set protects the environment of an app's project, or ends that: all apps in it are meant. In a protected environment a
// deploy by somebody who may not approve deploys waits for one who may; other changes are refused to him.
func (p *Protections) Set(ctx context.Context, actor model.Actor, ref Ref, protected bool) (model.Environment, error) {
	var e model.Environment
	err := p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := p.c.find(tx, actor, identity.EnvironmentProtect, ref)
		if err != nil {
			return err
		}
		if e = pl.env; e.Protected == protected {
			return nil
		}
		if protected && e.Kind == model.EnvPreview {
			return model.Invalid("%s is a preview: it cannot be protected", e.Name).WithHint("it goes with its pull request")
		}
		e.Protected = protected
		if err := tx.PutEnvironment(e); err != nil {
			return err
		}
		action := "environment.protect"
		if !protected {
			action = "environment.unprotect"
		}
		return p.c.record(tx, actor, pl.org.ID, action, pl.ref().String(), "")
	})
	return e, err
}

// guard refuses changes in a protected environment to whoever may not approve deploys.
func (c *Control) guard(actor model.Actor, pl place) error {
	if !pl.env.Protected || identity.Authorize(actor, identity.DeployApprove, pl.org.ID) == nil {
		return nil
	}
	return model.Errorf(model.KindForbidden, "%s is protected", pl.env.Name).
		WithWhy("what runs there is changed by admins; only deploys of others are taken, to be approved").
		WithHint("ask an admin of the org, or deploy: pandabox deploy -a %s -e %s", pl.app.Name, pl.env.Name)
}
