package control

import (
	"context"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Apps are the deployables of an org.
type Apps struct{ c *Control }

// App is an app with its project and where it runs.
type App struct {
	model.App
	Project   string     `json:"project"`
	Workloads []Workload `json:"workloads"` // by environment's name
}

// List returns the org's apps by name.
func (a *Apps) List(ctx context.Context, actor model.Actor, org string, p Page) (out List[App], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = a.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := a.c.org(tx, actor, identity.AppRead, org)
		if err != nil {
			return err
		}
		found, next, err := tx.Apps(o.ID, cur.after, cur.limit)
		if err != nil {
			return err
		}
		all, err := tx.DesiredIn(o.ID)
		if err != nil {
			return err
		}
		byApp := map[string][]*model.DesiredWorkload{}
		for _, d := range all {
			byApp[d.App.ID] = append(byApp[d.App.ID], d)
		}
		views := make([]App, len(found))
		for i, one := range found {
			if views[i], err = a.c.appView(tx, one, byApp[one.ID]); err != nil {
				return err
			}
		}
		out = page(views, next)
		return nil
	})
	return out, err
}

// Get returns one app; ref.Env does not count.
func (a *Apps) Get(ctx context.Context, actor model.Actor, ref Ref) (out App, err error) {
	err = a.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, one, err := a.c.app(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		all, err := tx.DesiredIn(o.ID)
		if err != nil {
			return err
		}
		var in []*model.DesiredWorkload
		for _, d := range all {
			if d.App.ID == one.ID {
				in = append(in, d)
			}
		}
		out, err = a.c.appView(tx, one, in)
		return err
	})
	return out, err
}

// Destroy marks a workload, or with wholeApp every workload of the app, for removal with its volumes, logs, domains
// and releases. The reconciler removes it; until then it is listed with Deleting. Destroying twice is destroying once.
func (a *Apps) Destroy(ctx context.Context, actor model.Actor, ref Ref, wholeApp bool) error {
	var domains []model.Domain
	err := a.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		destroy := func(pl place) error {
			ds, err := tx.Domains(pl.w.ID)
			if err != nil {
				return err
			}
			domains = append(domains, ds...)
			return a.destroy(tx, actor, pl)
		}
		if !wholeApp {
			pl, err := a.c.find(tx, actor, identity.AppDestroy, ref)
			if err != nil {
				return err
			}
			return destroy(pl)
		}
		o, one, err := a.c.app(tx, actor, identity.AppDestroy, ref)
		if err != nil {
			return err
		}
		ws, err := tx.WorkloadsOf(one.ID)
		if err != nil {
			return err
		}
		for _, w := range ws {
			e, err := tx.Environment(w.EnvID)
			if err != nil {
				return err
			}
			if err := destroy(place{o, one, e, w}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.c.forgetCertificates(ctx, domains)
}

func (a *Apps) destroy(tx *store.Tx, actor model.Actor, pl place) error {
	if pl.w.Deleting {
		return nil
	}
	if err := a.c.endDeploy(tx, pl.w, model.DeployCanceled, "the app is being destroyed"); err != nil {
		return err
	}
	pl.w.Deleting, pl.w.DeployID = true, ""
	if err := tx.PutWorkload(pl.w); err != nil {
		return err
	}
	if err := a.c.record(tx, actor, pl.org.ID, "app.destroy", pl.ref().String(), ""); err != nil {
		return err
	}
	return tx.Emit(model.Event{Kind: "app", OrgID: pl.org.ID, WorkloadID: pl.w.ID, State: "deleting", Detail: pl.ref().String()})
}

func (c *Control) appView(tx *store.Tx, a model.App, in []*model.DesiredWorkload) (App, error) {
	out := App{App: a, Workloads: make([]Workload, len(in))}
	p, err := tx.Project(a.ProjectID)
	if err != nil {
		return out, err
	}
	out.Project = p.Name
	for i, d := range in {
		if out.Workloads[i], err = c.workloadView(tx, *d); err != nil {
			return out, err
		}
	}
	return out, nil
}
