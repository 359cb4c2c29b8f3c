package control

import (
	"cmp"
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// allowed answers whether actor has a permission in the org, by itself.
func (c *Control) allowed(ctx context.Context, actor model.Actor, p identity.Permission, org string) error {
	return c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, err := c.org(tx, actor, p, org)
		return err
	})
}

// ensure returns the workload ref names, made with all above it where it is not there yet. The actor is authorized
// already.
func (c *Control) ensure(tx *store.Tx, actor model.Actor, o model.Org, ref Ref, project string, kind model.AppKind) (place, error) {
	pl := place{org: o}
	var err error
	if pl.app, err = tx.AppNamed(o.ID, ref.App); errors.Is(err, store.ErrNotFound) {
		pl.app, err = c.newApp(tx, actor, o, ref, project, kind)
	}
	if err != nil {
		return pl, err
	}
	if kind != "" && kind != pl.app.Kind {
		return pl, model.Conflict("%s is an app of the kind %s, not %s", ref.App, pl.app.Kind, kind).
			WithHint("leave the kind as it is, or deploy under another name")
	}
	if pl.env, err = tx.EnvironmentNamed(pl.app.ProjectID, ref.env()); errors.Is(err, store.ErrNotFound) {
		pl.env = model.Environment{ID: c.newID("env"), OrgID: o.ID, ProjectID: pl.app.ProjectID, Name: ref.env(), Kind: kindOfEnv(ref.env()), CreatedAt: c.now()}
		err = tx.PutEnvironment(pl.env)
	}
	if err != nil {
		return pl, err
	}
	pl.w, err = tx.WorkloadAt(pl.app.ID, pl.env.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return c.newWorkload(tx, actor, pl)
	case err == nil && pl.w.Deleting:
		return pl, beingDestroyed(ref)
	}
	return pl, err
}

// newApp makes an app, in a project that may be there already.
func (c *Control) newApp(tx *store.Tx, actor model.Actor, o model.Org, ref Ref, project string, kind model.AppKind) (model.App, error) {
	p, err := tx.ProjectNamed(o.ID, cmp.Or(project, ref.App))
	if errors.Is(err, store.ErrNotFound) {
		p = model.Project{ID: c.newID("project"), OrgID: o.ID, Name: cmp.Or(project, ref.App), CreatedAt: c.now()}
		err = tx.PutProject(p)
	}
	if err != nil {
		return model.App{}, err
	}
	a := model.App{ID: c.newID("app"), OrgID: o.ID, ProjectID: p.ID, Name: ref.App, Kind: cmp.Or(kind, model.KindWeb), CreatedAt: c.now()}
	if err := tx.PutApp(a); err != nil {
		return a, err
	}
	return a, c.record(tx, actor, o.ID, "app.create", a.Name, "in project "+p.Name)
}

// newWorkload makes the workload of an app in an environment, with its default domain.
func (c *Control) newWorkload(tx *store.Tx, actor model.Actor, pl place) (place, error) {
	pl.w = model.Workload{ID: c.newID("w"), OrgID: pl.org.ID, ProjectID: pl.app.ProjectID, AppID: pl.app.ID, EnvID: pl.env.ID, CreatedAt: c.now()}
	if err := tx.PutWorkload(pl.w); err != nil {
		return pl, err
	}
	if pl.app.Kind != model.KindWorker {
		host, err := c.defaultHost(tx, pl.app.Name, pl.env.Name)
		if err != nil {
			return pl, err
		}
		d := model.Domain{Host: host, OrgID: pl.org.ID, WorkloadID: pl.w.ID, Default: true, TLS: model.TLSAuto, CreatedAt: c.now()}
		if err := tx.PutDomain(d); err != nil {
			return pl, err
		}
	}
	if err := c.record(tx, actor, pl.org.ID, "workload.create", pl.ref().String(), ""); err != nil {
		return pl, err
	}
	return pl, tx.Emit(model.Event{Kind: "app", OrgID: pl.org.ID, WorkloadID: pl.w.ID, State: "created", Detail: pl.ref().String()})
}

// kindOfEnv returns what an environment of that name is for. Every name but those of the other kinds is a place to try
// things out before production: staging. (Previews are made for branches, not by name.)
func kindOfEnv(name string) model.EnvironmentKind {
	switch name {
	case "production", "prod":
		return model.EnvProduction
	case "development", "dev":
		return model.EnvDevelopment
	}
	return model.EnvStaging
}
