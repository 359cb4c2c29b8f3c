package control

import (
	"context"
	"errors"
	"slices"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// checkFunction refuses what no deploy of a function could be.
func (n NewDeploy) checkFunction() error {
	switch {
	case n.Kind != model.KindFunction:
		return model.Invalid("an app of the kind %s cannot run a function's code", n.Kind).WithHint("leave the kind out, or choose function")
	case n.Function == nil:
		return model.Invalid("no code of the function is named").WithHint("pandabox fn deploy in the function's folder")
	case n.Image != (model.Image{}):
		return model.Invalid("a function runs no image").WithHint("choose one: an image with the kind web, or a function's code")
	case len(n.Processes) > 0 || len(n.Scale) > 0:
		return model.Invalid("a function has no processes and no scale").
			WithWhy("it runs inside pandabox and answers as many requests at once as its limits say").WithHint("limits = { concurrency = 64 } in [function]")
	case len(n.Volumes) > 0:
		return model.Invalid("a function has no volumes").WithHint("keep what it should remember in env.KV, or in a service it asks by fetch")
	}
	for i, r := range n.Function.Routes {
		if slices.Contains(n.Function.Routes[:i], r) {
			return model.Invalid("the route %s is there twice", r).WithHint("name each path once")
		}
	}
	return n.Function.Validate()
}

// checkBundle refuses a function whose code is not on the box, and returns it with its true size.
func (c *Control) checkBundle(ctx context.Context, f model.Function) (*model.Function, error) {
	if c.cfg.Functions == nil {
		return nil, missing("function host")
	}
	b, err := c.cfg.Functions.Bundle(ctx, f.Digest)
	switch {
	case model.KindOf(err) == model.KindNotFound:
		return nil, model.Invalid("the code %s is not on this box", shortDigest(f.Digest)).Wrap(err).
			WithHint("upload the function again and use the digest it answers")
	case err != nil:
		return nil, err
	case b.Runtime != f.Runtime:
		return nil, model.Invalid("the function's runtime is %s, what was uploaded is for %s", f.Runtime, b.Runtime).
			WithHint(`leave runtime out of [function], or write runtime = "%s"`, b.Runtime)
	}
	f.Size = b.Size
	return &f, nil
}

// ensureFor is ensure for a deploy: a function comes into the project of the app it is on, and an app that never had a
// release takes the kind of its first.
func (c *Control) ensureFor(tx *store.Tx, actor model.Actor, o model.Org, ref Ref, n NewDeploy) (place, error) {
	if n.Function != nil && n.Function.On != "" {
		project, err := c.projectOn(tx, o, ref, *n.Function, n.Project)
		if err != nil {
			return place{}, err
		}
		n.Project = project
	}
	if err := c.fixKind(tx, o, ref, n.Kind); err != nil {
		return place{}, err
	}
	pl, err := c.ensure(tx, actor, o, ref, n.Project, n.Kind)
	if err != nil || n.Function == nil {
		if err == nil && (pl.app.Kind == model.KindFunction || pl.app.Kind == model.KindStatic && n.Static == nil) {
			err = otherKind(ref, pl.app.Kind, model.KindWeb)
		}
		return pl, err
	}
	return pl, checkRoutes(tx, pl, *n.Function)
}

// projectOn returns the project of the app a function is on, or says why it cannot be on it.
func (c *Control) projectOn(tx *store.Tx, o model.Org, ref Ref, f model.Function, project string) (string, error) {
	at := Ref{App: f.On, Env: ref.env()}
	on, err := tx.AppNamed(o.ID, f.On)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", model.NotFound("the function is on %q, and there is no such app", f.On).
			WithHint("deploy that first: pandabox deploy -a %s -e %s; or correct on in [function]", f.On, ref.env())
	case err != nil:
		return "", err
	case f.On == ref.App || on.Kind == model.KindFunction:
		return "", model.Invalid("the function is on %s, which is a function itself", f.On).
			WithHint("name an app of another kind: its requests come here; a function answers on domains of its own without on")
	}
	p, err := tx.Project(on.ProjectID)
	if err != nil {
		return "", err
	}
	e, err := tx.EnvironmentNamed(p.ID, ref.env())
	if err == nil {
		_, err = tx.WorkloadAt(on.ID, e.ID)
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", model.NotFound("the function is on %s, which does not run in %s", f.On, ref.env()).
			WithHint("deploy that first: pandabox deploy -a %s -e %s", at.App, at.Env)
	} else if err != nil {
		return "", err
	}
	if project != "" && project != p.Name {
		return "", model.Invalid("the function is on %s, which belongs to the project %s, not %s", f.On, p.Name, project).
			WithHint("leave the project out: the function comes into that of %s", f.On)
	}
	own, err := tx.AppNamed(o.ID, ref.App)
	if err == nil && own.ProjectID != on.ProjectID {
		moved, err := c.moveUnreleased(tx, own, p)
		if err != nil || moved {
			return p.Name, err
		}
		return "", model.Conflict("%s and %s belong to different projects", ref.App, f.On).
			WithWhy("a function can only be on an app of its own project").
			WithHint("deploy the function under another name, or destroy %s first: pandabox destroy -a %s", ref.App, ref.App)
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	return p.Name, nil
}

// moveUnreleased moves an app that was made by setting a variable, and never had a release, to another project; false when
// it had one, or would leave a protected environment for one that is not.
func (c *Control) moveUnreleased(tx *store.Tx, a model.App, to model.Project) (bool, error) {
	ws, err := tx.WorkloadsOf(a.ID)
	if err != nil || slices.ContainsFunc(ws, released) {
		return false, err
	}
	for _, w := range ws {
		e, err := tx.Environment(w.EnvID)
		if err != nil {
			return false, err
		}
		there, err := tx.EnvironmentNamed(to.ID, e.Name)
		if e.Protected && !there.Protected {
			return false, nil
		}
		if errors.Is(err, store.ErrNotFound) {
			there = model.Environment{ID: c.newID("env"), OrgID: a.OrgID, ProjectID: to.ID, Name: e.Name, Kind: e.Kind, CreatedAt: c.now()}
			err = tx.PutEnvironment(there)
		}
		if err != nil {
			return false, err
		}
		if err := tx.MoveWorkload(w, there); err != nil {
			return false, err
		}
	}
	return true, nil
}

// released tells whether a workload ever had a release, or is on its way out.
func released(w model.Workload) bool { return w.LastRelease > 0 || w.Deleting }

// fixKind gives an app that was made by setting a variable, and never had a release, the kind of its first deploy.
func (c *Control) fixKind(tx *store.Tx, o model.Org, ref Ref, kind model.AppKind) error {
	a, err := tx.AppNamed(o.ID, ref.App)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || kind == "" || kind == a.Kind {
		return err
	}
	ws, err := tx.WorkloadsOf(a.ID)
	if err != nil {
		return err
	}
	fixed := slices.ContainsFunc(ws, released)
	switch {
	case fixed && (hostedKind(kind) || hostedKind(a.Kind)):
		return otherKind(ref, a.Kind, kind)
	case fixed || kind == model.KindWorker:
		return nil // ensure says what it says of every change of kind; a worker has no default domain
	}
	a.Kind = kind
	return tx.PutApp(a)
}

// hostedKind tells whether apps of a kind run inside the daemon, without containers.
func hostedKind(k model.AppKind) bool { return k == model.KindFunction || k == model.KindStatic }

func otherKind(ref Ref, is, asked model.AppKind) error {
	return model.Conflict("%s is an app of the kind %s and cannot become one of the kind %s", ref.App, is, asked).
		WithWhy("its releases, which it can be rolled back to, are of that kind").
		WithHint("deploy under another name; or destroy the app first: pandabox destroy -a %s", ref.App)
}

// checkRoutes refuses paths that another function of the environment has on the same app already.
func checkRoutes(tx *store.Tx, pl place, f model.Function) error {
	if f.On == "" {
		return nil
	}
	ws, err := tx.WorkloadsIn(pl.env.ID)
	if err != nil {
		return err
	}
	for _, w := range ws {
		if w.ID == pl.w.ID || w.Deleting {
			continue
		}
		d, err := tx.Desired(w.ID)
		if err != nil {
			return err
		}
		for _, r := range []*model.Release{d.Want, d.Good} {
			if r == nil || r.Function == nil || r.Function.On != f.On {
				continue
			}
			for _, path := range f.Routes {
				if slices.Contains(r.Function.Routes, path) {
					return model.Conflict("%s on %s is a route of %s already", path, f.On, d.App.Name).
						WithHint("choose another path; or take it from there first: deploy %s without it", d.App.Name)
				}
			}
		}
	}
	return nil
}

// functionName is how descriptions name a function's code.
func functionName(f model.Function) string {
	return string(f.Runtime) + " function " + shortDigest(f.Digest)
}

func shortDigest(d string) string {
	const scheme = "sha256:"
	return d[min(len(scheme), len(d)):min(len(scheme)+12, len(d))]
}
