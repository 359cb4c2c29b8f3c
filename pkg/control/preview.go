package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Previews are environments of pull requests.
type Previews struct{ c *Control }

// Preview is a preview of one app.
type Preview struct {
	model.Preview
	App      string    `json:"app"`
	Env      string    `json:"env"`
	Deleting bool      `json:"deleting,omitempty"`
	Address  string    `json:"address,omitempty"` // where it answers
	MadeAt   time.Time `json:"madeAt"`
}

// Ensure makes the environment of a pull request, or keeps it for another while, and returns its name. A new one begins
// with the variables of its template; the app's oldest preview goes where there would be too many.
func (p *Previews) Ensure(ctx context.Context, actor model.Actor, org, app string, pr model.PullRequest) (env string, err error) {
	if pr.Number < 1 {
		return "", model.Invalid("%d is not the number of a pull request", pr.Number)
	}
	env = model.PreviewName(pr.Number)
	err = p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, a, err := p.c.app(tx, actor, identity.DeployCreate, Ref{Org: org, App: app})
		if err != nil {
			return err
		}
		how := previewing(a)
		switch {
		case how.Off:
			return model.Errorf(model.KindForbidden, "pull requests of %s make no previews", app).WithHint("pandabox previews config --on")
		case pr.Fork && !how.Forks:
			return model.Errorf(model.KindForbidden, "pull requests from forks make no previews of %s", app).
				WithWhy("anybody can open one, and its code would run here").WithHint("allow it: pandabox previews config --forks")
		}
		return p.ensure(tx, actor, o, a, env, how, pr)
	})
	return env, err
}

func previewing(a model.App) model.Previewing {
	if a.Previewing == nil {
		return model.Previewing{}.Filled()
	}
	return a.Previewing.Filled()
}

func (p *Previews) ensure(tx *store.Tx, actor model.Actor, o model.Org, a model.App, env string, how model.Previewing, pr model.PullRequest) error {
	old, err := tx.EnvironmentNamed(a.ProjectID, env)
	if err == nil && old.Kind != model.EnvPreview {
		return model.Conflict("%s is an environment of the project, not a preview", env).WithHint("destroy it, so that the pull request can have its name")
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	made := errors.Is(err, store.ErrNotFound)
	if !made {
		_, err := tx.WorkloadAt(a.ID, old.ID)
		if made = errors.Is(err, store.ErrNotFound); err != nil && !made {
			return err
		}
	}
	if made {
		if err := p.makeRoom(tx, actor, o, a, how.Max-1); err != nil {
			return err
		}
	}
	pl, err := p.c.ensure(tx, actor, o, Ref{Org: o.Name, App: a.Name, Env: env}, "", "")
	if err != nil {
		return err
	}
	pl.env.Kind = model.EnvPreview
	pl.env.Preview = &model.Preview{
		Number: pr.Number, Branch: pr.Branch, Title: shown(pr.Title), URL: pr.URL, UpdatedAt: p.c.now(),
		Fork: pr.Fork || pl.env.Preview != nil && pl.env.Preview.Fork, ExpiresAt: p.c.now().AddDate(0, 0, how.Days),
	}
	if err := tx.PutEnvironment(pl.env); err != nil || !made {
		return err
	}
	if err := p.inherit(tx, &pl, how); err != nil {
		return err
	}
	return p.c.record(tx, actor, o.ID, "preview.create", pl.ref().String(), fmt.Sprintf("pull request %d", pr.Number))
}

// inherit gives a new preview the variables of its template.
func (p *Previews) inherit(tx *store.Tx, pl *place, how model.Previewing) error {
	var from model.Workload
	names := []string{string(model.EnvStaging), EnvProduction}
	if how.Template != "" {
		names = []string{how.Template}
	}
	for _, name := range names {
		e, err := tx.EnvironmentNamed(pl.app.ProjectID, name)
		if err == nil {
			from, err = tx.WorkloadAt(pl.app.ID, e.ID)
		}
		if err == nil {
			break
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if from.ID == "" {
		return nil
	}
	cfg, err := tx.Config(from.ID, from.ConfigVersion)
	if err != nil {
		return err
	}
	changed, err := p.c.nextConfig(tx, &pl.w, func(vars map[string]model.Variable) error {
		for name, v := range cfg.Variables {
			if v.Secret && (!how.Secrets || pl.env.Preview.Fork) {
				continue
			}
			value, err := p.c.open(from.ID, name, v)
			if err != nil {
				return err
			}
			if err := p.c.set(vars, pl.w.ID, name, value, model.Variable{Secret: v.Secret, Declared: v.Declared}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || !changed {
		return err
	}
	return tx.PutWorkload(pl.w)
}

// makeRoom removes the app's previews but for the newest.
func (p *Previews) makeRoom(tx *store.Tx, actor model.Actor, o model.Org, a model.App, most int) error {
	all, err := p.places(tx, o, a)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(x, y place) int { return y.env.Preview.UpdatedAt.Compare(x.env.Preview.UpdatedAt) })
	for i, pl := range all {
		if i >= most {
			if err := p.remove(tx, actor, pl, "a newer preview took its place"); err != nil {
				return err
			}
		}
	}
	return nil
}

// places returns the previews of an app that are not on their way out.
func (p *Previews) places(tx *store.Tx, o model.Org, a model.App) ([]place, error) {
	ws, err := tx.WorkloadsOf(a.ID)
	if err != nil {
		return nil, err
	}
	var out []place
	for _, w := range ws {
		e, err := tx.Environment(w.EnvID)
		if err != nil {
			return nil, err
		}
		if e.Preview != nil && !w.Deleting {
			out = append(out, place{o, a, e, w})
		}
	}
	return out, nil
}

func (p *Previews) remove(tx *store.Tx, actor model.Actor, pl place, why string) error {
	if err := p.c.record(tx, actor, pl.org.ID, "preview.remove", pl.ref().String(), why); err != nil {
		return err
	}
	return p.c.Apps.destroy(tx, actor, pl)
}

// Close removes the preview of a pull request. None there is no error.
func (p *Previews) Close(ctx context.Context, actor model.Actor, org, app string, number int) error {
	return p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, a, err := p.c.app(tx, actor, identity.DeployCreate, Ref{Org: org, App: app})
		if err != nil {
			return err
		}
		all, err := p.places(tx, o, a)
		for _, pl := range all {
			if pl.env.Preview.Number == number {
				return p.remove(tx, actor, pl, "its pull request is closed")
			}
		}
		return err
	})
}

// Remove removes a preview by its environment's name.
func (p *Previews) Remove(ctx context.Context, actor model.Actor, ref Ref) error {
	return p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := p.c.find(tx, actor, identity.DeployCreate, ref)
		if err != nil {
			return err
		}
		if pl.env.Preview == nil {
			return model.Invalid("%s is not a preview", pl.env.Name).WithHint("pandabox destroy -a %s -e %s", ref.App, pl.env.Name)
		}
		return p.remove(tx, actor, pl, "by hand")
	})
}

// List returns the app's previews, newest first.
func (p *Previews) List(ctx context.Context, actor model.Actor, org, app string) (out []Preview, err error) {
	err = p.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, a, err := p.c.app(tx, actor, identity.AppRead, Ref{Org: org, App: app})
		if err != nil {
			return err
		}
		ws, err := tx.WorkloadsOf(a.ID)
		if err != nil {
			return err
		}
		for _, w := range ws {
			e, err := tx.Environment(w.EnvID)
			if err != nil {
				return err
			}
			if e.Preview == nil {
				continue
			}
			ds, err := tx.Domains(w.ID)
			if err != nil {
				return err
			}
			out = append(out, Preview{Preview: *e.Preview, App: a.Name, Env: e.Name, Deleting: w.Deleting, Address: p.c.urlOf(byDefault(ds)), MadeAt: w.CreatedAt})
		}
		slices.SortFunc(out, func(x, y Preview) int { return cmp.Compare(y.Number, x.Number) })
		return nil
	})
	return out, err
}

// Settings returns how the app's previews are made.
func (p *Previews) Settings(ctx context.Context, actor model.Actor, org, app string) (out model.Previewing, err error) {
	err = p.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, a, err := p.c.app(tx, actor, identity.AppRead, Ref{Org: org, App: app})
		out = previewing(a)
		return err
	})
	return out, err
}

// Configure says how the app's previews are made from now on.
func (p *Previews) Configure(ctx context.Context, actor model.Actor, org, app string, how model.Previewing) error {
	if err := how.Validate(); err != nil {
		return err
	}
	return p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, a, err := p.c.app(tx, actor, identity.DeployApprove, Ref{Org: org, App: app})
		if err != nil {
			return err
		}
		a.Previewing = &how
		if err := tx.PutApp(a); err != nil {
			return err
		}
		return p.c.record(tx, actor, o.ID, "preview.config", a.Name, fmt.Sprintf("%+v", how))
	})
}

// Reap removes the previews that nobody pushed to for too long, and returns when to come again: the zero time where there
// is none.
func (p *Previews) Reap(ctx context.Context) (next time.Time, err error) {
	all, err := p.c.cfg.Store.Desired(ctx)
	if err != nil {
		return next, err
	}
	now := p.c.now()
	for _, d := range all.Workloads {
		switch {
		case d.Env.Preview == nil || d.Workload.Deleting:
			continue
		case d.Env.Preview.ExpiresAt.After(now):
			if at := d.Env.Preview.ExpiresAt; next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		err := p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
			w, err := tx.Workload(d.Workload.ID)
			if errors.Is(err, store.ErrNotFound) || err == nil && w.Deleting {
				return nil
			} else if err != nil {
				return err
			}
			e, err := tx.Environment(w.EnvID)
			if err != nil || e.Preview == nil || e.Preview.ExpiresAt.After(now) {
				return err // it was pushed to meanwhile
			}
			return p.remove(tx, model.Actor{Name: "pandabox"}, place{model.Org{ID: w.OrgID}, d.App, e, w}, "nobody pushed to it for too long")
		})
		if err != nil {
			return next, err
		}
	}
	return next, nil
}
