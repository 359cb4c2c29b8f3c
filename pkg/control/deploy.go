package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// MaxMessage is the greatest length of a deploy's message in bytes.
const MaxMessage = 500

// Deploys moves workloads from release to release.
type Deploys struct{ c *Control }

// Deploy is a deploy with the names and numbers people use.
type Deploy struct {
	model.Deploy
	App         string `json:"app"`
	Env         string `json:"env"`
	Release     int    `json:"release"`               // number of the release it moves to; 0 when that is forgotten
	FromRelease int    `json:"fromRelease,omitempty"` // number of the release it came from; 0 for none
	URL         string `json:"url,omitempty"`         // where the workload answers; "" without domains
	Approval    string `json:"approval,omitempty"`    // the approval that the deploy waits for; it is not created yet and has no id then
}

// DeployOptions go with the smaller sorts of deploy.
type DeployOptions struct {
	Message        string // at most MaxMessage bytes
	IdempotencyKey string // "" for none
}

// List returns the workload's deploys, newest first.
func (d *Deploys) List(ctx context.Context, actor model.Actor, ref Ref, p Page) (out List[Deploy], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = d.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := d.c.find(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		found, next, err := tx.Deploys(pl.w.ID, cur.after, cur.limit)
		if err != nil {
			return err
		}
		views := make([]Deploy, len(found))
		for i, one := range found {
			if views[i], err = d.c.deployView(tx, one); err != nil {
				return err
			}
		}
		out = page(views, next)
		return nil
	})
	return out, err
}

// Get returns one deploy. With ref.App "" it may belong to any workload of the org.
func (d *Deploys) Get(ctx context.Context, actor model.Actor, ref Ref, id string) (out Deploy, err error) {
	err = d.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		one, err := d.c.deploy(tx, actor, identity.AppRead, ref, id)
		if err != nil {
			return err
		}
		out, err = d.c.deployView(tx, one)
		return err
	})
	return out, err
}

// Cancel asks the reconciler to give up a deploy and go back to what served. KindConflict when it is over already.
func (d *Deploys) Cancel(ctx context.Context, actor model.Actor, ref Ref, id string) (out Deploy, err error) {
	err = d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		one, err := d.c.deploy(tx, actor, identity.DeployCreate, ref, id)
		if err != nil {
			return err
		}
		at, err := tx.Desired(one.WorkloadID)
		if err != nil {
			return err
		}
		if err := d.c.guard(actor, place{org: model.Org{ID: one.OrgID}, app: at.App, env: at.Env}); err != nil {
			return err
		}
		if one.State.Final() {
			return model.Conflict("the deploy is over: %s", one.State).WithHint("go back with: pandabox rollback")
		}
		if !one.CancelAsked {
			one.CancelAsked = true
			if err := tx.PutDeploy(one); err != nil {
				return err
			}
			out, err = d.c.deployView(tx, one)
			if err != nil {
				return err
			}
			target := Ref{App: out.App, Env: out.Env}.String()
			if err := d.c.record(tx, actor, one.OrgID, "deploy.cancel", target, one.ID); err != nil {
				return err
			}
			return tx.Emit(model.Event{Kind: "deploy", OrgID: one.OrgID, WorkloadID: one.WorkloadID, DeployID: one.ID, State: string(one.State), Detail: "cancel asked by " + nameOf(actor)})
		}
		out, err = d.c.deployView(tx, one)
		return err
	})
	return out, err
}

// Rollback deploys an earlier release; number 0 means the newest good one before the release that is wanted now. The
// variables of that release become the workload's variables again.
func (d *Deploys) Rollback(ctx context.Context, actor model.Actor, ref Ref, number int, o DeployOptions) (Deploy, error) {
	return d.again(ctx, actor, ref, "rollback", number, o, func(tx *store.Tx, pl *place) (model.Deploy, error) {
		r, err := rollbackTarget(tx, pl.w, ref, number)
		if err != nil {
			return model.Deploy{}, err
		}
		if r.Function != nil {
			if err := checkRoutes(tx, *pl, *r.Function); err != nil {
				return model.Deploy{}, err
			}
		}
		if err := d.c.restoreConfig(tx, &pl.w, r.ConfigVersion); err != nil {
			return model.Deploy{}, err
		}
		return d.c.moveTo(tx, actor, pl, model.DeployRollback, r.ID, o.Message)
	})
}

// Restart replaces every replica by a fresh one of the same release.
func (d *Deploys) Restart(ctx context.Context, actor model.Actor, ref Ref, o DeployOptions) (Deploy, error) {
	return d.again(ctx, actor, ref, "restart", 0, o, func(tx *store.Tx, pl *place) (model.Deploy, error) {
		if pl.w.Want.IsZero() {
			return model.Deploy{}, nothingDeployed(ref)
		}
		return d.c.moveTo(tx, actor, pl, model.DeployRestart, pl.w.Want.ReleaseID, o.Message)
	})
}

// again is what deploys of releases that exist have in common.
func (d *Deploys) again(ctx context.Context, actor model.Actor, ref Ref, what string, number int, o DeployOptions, move func(*store.Tx, *place) (model.Deploy, error)) (out Deploy, err error) {
	if err := checkMessage(o.Message); err != nil {
		return out, err
	}
	err = d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := d.c.findToChange(tx, actor, identity.DeployCreate, ref)
		if err != nil {
			return err
		}
		action := "deploy." + what
		id, err := once(d.c, tx, actor, pl.org.ID, action, o.IdempotencyKey, []any{pl.w.ID, number, o.Message}, func() (string, error) {
			one, err := move(tx, &pl)
			if err != nil {
				return "", err
			}
			r, err := tx.Release(one.Target.ReleaseID)
			if err != nil {
				return "", err
			}
			return one.ID, d.c.record(tx, actor, pl.org.ID, action, pl.ref().String(), fmt.Sprintf("v%d", r.Number))
		})
		if err != nil {
			return err
		}
		out, err = d.c.deployByID(tx, id)
		return err
	})
	return out, err
}

// deploy returns a deploy the actor may see and that ref, as far as it names something, names.
func (c *Control) deploy(tx *store.Tx, actor model.Actor, p identity.Permission, ref Ref, id string) (model.Deploy, error) {
	gone := model.NotFound("there is no deploy %q", id).WithHint("see which there are: pandabox deploys")
	var orgID, workloadID string
	if ref.App != "" {
		pl, err := c.find(tx, actor, p, ref)
		if err != nil {
			return model.Deploy{}, err
		}
		orgID, workloadID = pl.org.ID, pl.w.ID
	} else {
		o, err := c.org(tx, actor, p, ref.Org)
		if err != nil {
			return model.Deploy{}, err
		}
		orgID = o.ID
	}
	one, err := tx.Deploy(id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && (one.OrgID != orgID || (workloadID != "" && one.WorkloadID != workloadID))) {
		return model.Deploy{}, gone
	}
	return one, err
}

// deployByID returns a deploy as it is now.
func (c *Control) deployByID(tx *store.Tx, id string) (Deploy, error) {
	one, err := tx.Deploy(id)
	if errors.Is(err, store.ErrNotFound) {
		return Deploy{}, model.NotFound("the deploy that request made is forgotten").WithHint("see which there are: pandabox deploys")
	} else if err != nil {
		return Deploy{}, err
	}
	return c.deployView(tx, one)
}

func (c *Control) deployView(tx *store.Tx, d model.Deploy) (Deploy, error) {
	out := Deploy{Deploy: d}
	w, err := tx.Desired(d.WorkloadID)
	if err != nil {
		return out, err
	}
	out.App, out.Env, out.URL = w.App.Name, w.Env.Name, c.urlOf(w.Domains)
	if out.Release, err = releaseNumber(tx, w, d.Target.ReleaseID); err != nil {
		return out, err
	}
	out.FromRelease, err = releaseNumber(tx, w, d.From.ReleaseID)
	return out, err
}

// releaseNumber returns the number of one of a workload's releases, 0 when it is forgotten or the id is "".
func releaseNumber(tx *store.Tx, w model.DesiredWorkload, id string) (int, error) {
	switch {
	case id == "":
		return 0, nil
	case w.Want != nil && w.Want.ID == id:
		return w.Want.Number, nil
	case w.Good != nil && w.Good.ID == id:
		return w.Good.Number, nil
	}
	r, err := tx.Release(id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return r.Number, err
}

func nothingDeployed(ref Ref) error {
	return model.Conflict("nothing is deployed yet: %s", ref).WithHint("pandabox deploy -a %s -e %s", ref.App, ref.env())
}

func checkMessage(m string) error {
	if len(m) > MaxMessage {
		return model.Errorf(model.KindTooLarge, "the message is %d bytes long", len(m)).WithHint("at most %d bytes fit", MaxMessage)
	}
	return nil
}

// shown returns a message without what would move the cursors of other people's terminals.
func shown(m string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(m, "\uFFFD"))
}
