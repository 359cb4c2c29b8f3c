package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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

// leaveWait bounds how long a pull request that was closed and opened again waits for its old preview to be gone.
const leaveWait = 2 * time.Minute

// errLeaving says that the preview is on its way out.
var errLeaving = errors.New("the preview is on its way out")

// Ensure makes the environment of a pull request, or keeps it for another while, and returns its name. A new one begins
// with the variables of its template; the app's oldest preview goes where there would be too many. It waits for one that
// is on its way out.
func (p *Previews) Ensure(ctx context.Context, actor model.Actor, org, app string, pr model.PullRequest) (env string, err error) {
	if pr.Number < 1 {
		return "", model.Invalid("%d is not the number of a pull request", pr.Number)
	}
	env = model.PreviewName(pr.Number)
	changed, end := p.c.cfg.Store.Changed()
	defer end()
	late := time.NewTimer(leaveWait)
	defer late.Stop()
	for {
		if err = p.ensureNow(ctx, actor, org, app, env, pr); !errors.Is(err, errLeaving) {
			return env, err
		}
		select {
		case <-changed:
		case <-late.C:
			return "", beingDestroyed(Ref{Org: org, App: app, Env: env})
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// ensureNow is Ensure that does not wait: errLeaving where it would have to.
func (p *Previews) ensureNow(ctx context.Context, actor model.Actor, org, app, env string, pr model.PullRequest) error {
	return p.change(ctx, func(tx *store.Tx, gone *[]model.Domain) error {
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
		return p.ensure(tx, actor, o, a, env, how, pr, gone)
	})
}

func previewing(a model.App) model.Previewing {
	if a.Previewing == nil {
		return model.Previewing{}.Filled()
	}
	return a.Previewing.Filled()
}

func (p *Previews) ensure(tx *store.Tx, actor model.Actor, o model.Org, a model.App, env string, how model.Previewing, pr model.PullRequest, gone *[]model.Domain) error {
	old, err := tx.EnvironmentNamed(a.ProjectID, env)
	if err == nil && old.Kind != model.EnvPreview {
		return model.Conflict("%s is an environment of the project, not a preview", env).WithHint("destroy it, so that the pull request can have its name")
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	made := errors.Is(err, store.ErrNotFound)
	if !made {
		w, err := tx.WorkloadAt(a.ID, old.ID)
		if made = errors.Is(err, store.ErrNotFound); err != nil && !made {
			return err
		}
		if w.Deleting {
			return errLeaving
		}
	}
	if made {
		if err := p.makeRoom(tx, actor, o, a, how.Max-1, gone); err != nil {
			return err
		}
	}
	pl, err := p.c.ensure(tx, actor, o, Ref{Org: o.Name, App: a.Name, Env: env}, "", "")
	if err != nil {
		return err
	}
	if pr.Fork && !made && !old.Preview.Fork { // of another repository with a change of the same number
		if err := p.takeSecrets(tx, &pl); err != nil {
			return err
		}
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

// takeSecrets leaves a preview without secrets from its next deploy on.
func (p *Previews) takeSecrets(tx *store.Tx, pl *place) error {
	changed, err := p.c.nextConfig(tx, &pl.w, func(vars map[string]model.Variable) error {
		maps.DeleteFunc(vars, func(_ string, v model.Variable) bool { return v.Secret })
		return nil
	})
	if err != nil || !changed {
		return err
	}
	return tx.PutWorkload(pl.w)
}

// makeRoom removes the app's previews but for the newest.
func (p *Previews) makeRoom(tx *store.Tx, actor model.Actor, o model.Org, a model.App, most int, gone *[]model.Domain) error {
	all, err := p.places(tx, o, a)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(x, y place) int { return y.env.Preview.UpdatedAt.Compare(x.env.Preview.UpdatedAt) })
	for i, pl := range all {
		if i >= most {
			if err := p.remove(tx, actor, pl, "a newer preview took its place", gone); err != nil {
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

// change is Store.Update, after which the certificates that users brought for domains that are gone are forgotten.
func (p *Previews) change(ctx context.Context, fn func(tx *store.Tx, gone *[]model.Domain) error) error {
	var gone []model.Domain
	err := p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		gone = nil
		return fn(tx, &gone)
	})
	if err != nil {
		return err
	}
	return p.c.forgetCertificates(ctx, gone)
}

// remove marks a preview for removal; its domains are added to gone.
func (p *Previews) remove(tx *store.Tx, actor model.Actor, pl place, why string, gone *[]model.Domain) error {
	ds, err := tx.Domains(pl.w.ID)
	if err != nil {
		return err
	}
	*gone = append(*gone, ds...)
	if err := p.c.record(tx, actor, pl.org.ID, "preview.remove", pl.ref().String(), why); err != nil {
		return err
	}
	return p.c.Apps.destroy(tx, actor, pl)
}

// Close removes the preview of a pull request. None there is no error.
func (p *Previews) Close(ctx context.Context, actor model.Actor, org, app string, number int) error {
	return p.change(ctx, func(tx *store.Tx, gone *[]model.Domain) error {
		o, a, err := p.c.app(tx, actor, identity.DeployCreate, Ref{Org: org, App: app})
		if err != nil {
			return err
		}
		all, err := p.places(tx, o, a)
		for _, pl := range all {
			if pl.env.Preview.Number == number {
				return p.remove(tx, actor, pl, "its pull request is closed", gone)
			}
		}
		return err
	})
}

// Remove removes a preview by its environment's name.
func (p *Previews) Remove(ctx context.Context, actor model.Actor, ref Ref) error {
	return p.change(ctx, func(tx *store.Tx, gone *[]model.Domain) error {
		pl, err := p.c.find(tx, actor, identity.DeployCreate, ref)
		if err != nil {
			return err
		}
		if pl.env.Preview == nil {
			return model.Invalid("%s is not a preview", pl.env.Name).WithHint("pandabox destroy -a %s -e %s", ref.App, pl.env.Name)
		}
		return p.remove(tx, actor, pl, "by hand", gone)
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
		err := p.change(ctx, func(tx *store.Tx, gone *[]model.Domain) error {
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
			return p.remove(tx, model.Actor{Name: "pandabox"}, place{model.Org{ID: w.OrgID}, d.App, e, w}, "nobody pushed to it for too long", gone)
		})
		if err != nil {
			return next, err
		}
	}
	return next, nil
}
