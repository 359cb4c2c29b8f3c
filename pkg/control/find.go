package control

import (
	"errors"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// place is a workload with everything above it.
type place struct {
	org model.Org
	app model.App
	env model.Environment
	w   model.Workload
}

func (p place) ref() Ref { return Ref{Org: p.org.Name, App: p.app.Name, Env: p.env.Name} }

// org returns the org a name means, if the actor has the permission in it.
func (c *Control) org(tx *store.Tx, actor model.Actor, p identity.Permission, name string) (model.Org, error) {
	if name == "" {
		name = model.DefaultOrg
	}
	o, err := tx.OrgNamed(name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return model.Org{}, err
	}
	if deny := identity.Authorize(actor, p, o.ID); deny != nil { // with an empty id where there is no such org
		return model.Org{}, deny
	}
	if err != nil {
		return model.Org{}, model.NotFound("there is no org %q", name)
	}
	return o, nil
}

// boxOrg authorizes what concerns the box itself and returns the org whose owners own it.
func (c *Control) boxOrg(tx *store.Tx, actor model.Actor, p identity.Permission) (model.Org, error) {
	return c.org(tx, actor, p, model.DefaultOrg)
}

// app returns the app a ref names.
func (c *Control) app(tx *store.Tx, actor model.Actor, p identity.Permission, ref Ref) (model.Org, model.App, error) {
	o, err := c.org(tx, actor, p, ref.Org)
	if err != nil {
		return o, model.App{}, err
	}
	a, err := tx.AppNamed(o.ID, ref.App)
	if errors.Is(err, store.ErrNotFound) {
		return o, a, noApp(tx, o, ref)
	}
	return o, a, err
}

// find returns the workload a ref names.
func (c *Control) find(tx *store.Tx, actor model.Actor, p identity.Permission, ref Ref) (place, error) {
	o, a, err := c.app(tx, actor, p, ref)
	if err != nil {
		return place{}, err
	}
	e, err := tx.EnvironmentNamed(a.ProjectID, ref.env())
	if err == nil {
		var w model.Workload
		if w, err = tx.WorkloadAt(a.ID, e.ID); err == nil {
			return place{o, a, e, w}, nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return place{}, noEnv(tx, a, ref)
	}
	return place{}, err
}

// findToChange is find for what may not be done to a workload on its way out, nor by everybody in a protected
// environment.
func (c *Control) findToChange(tx *store.Tx, actor model.Actor, p identity.Permission, ref Ref) (place, error) {
	pl, err := c.find(tx, actor, p, ref)
	if err == nil && pl.w.Deleting {
		err = beingDestroyed(ref)
	}
	if err == nil {
		err = c.guard(actor, pl)
	}
	return pl, err
}

func beingDestroyed(ref Ref) error {
	return model.Conflict("%s is being destroyed", ref).WithHint("wait a moment, then deploy it afresh")
}

func noApp(tx *store.Tx, o model.Org, ref Ref) error {
	if ref.App == "" {
		return model.Invalid("no app is named").WithHint("name it with -a APP")
	}
	e := model.NotFound("there is no app %q in org %s", ref.App, o.Name)
	apps, _, err := tx.Apps(o.ID, "", 0)
	if err != nil {
		return err
	}
	if len(apps) == 0 {
		return e.WithHint("make one with: pandabox deploy -a %s", ref.App)
	}
	names := make([]string, len(apps))
	for i, a := range apps {
		names[i] = a.Name
	}
	if n := nearest(ref.App, names); n != "" {
		return e.WithHint("did you mean %q? all of them: pandabox apps", n)
	}
	return e.WithHint("see which there are: pandabox apps")
}

func noEnv(tx *store.Tx, a model.App, ref Ref) error {
	var names []string
	ws, err := tx.WorkloadsOf(a.ID)
	if err != nil {
		return err
	}
	for _, w := range ws {
		e, err := tx.Environment(w.EnvID)
		if err != nil {
			return err
		}
		names = append(names, e.Name)
	}
	return model.NotFound("%s does not run in %s", a.Name, ref.env()).WithWhy("it runs in %s", strings.Join(names, ", ")).
		WithHint("choose with -e, or deploy it there: pandabox deploy -a %s -e %s", a.Name, ref.env())
}

// nearest returns the name that s is most likely a slip of, or "".
func nearest(s string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := distance(s, n); d < least && d < len(s) {
			best, least = n, d
		}
	}
	return best
}

// distance is how many letters have to be added, dropped or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
