package control

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Variables are a workload's configuration.
type Variables struct{ c *Control }

// Variable is one variable as it may be shown.
type Variable struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"` // "" for a secret
	Secret bool   `json:"secret"`
}

// VariableChange sets and unsets variables at once. A name must not be in both.
type VariableChange struct {
	Set     map[string]string
	Secrets []string // names in Set to be write-only from now on; one that is secret already stays so
	Unset   []string // unsetting what is not set is no error
}

// VariablesChanged tells what a change did.
type VariablesChanged struct {
	Version int     `json:"version"`          // of the configuration now
	Deploy  *Deploy `json:"deploy,omitempty"` // that brings it to the running app; nil before the first deploy, or when nothing changed
}

// List returns the workload's variables by name.
func (v *Variables) List(ctx context.Context, actor model.Actor, ref Ref) ([]Variable, error) {
	out := []Variable{}
	err := v.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := v.c.find(tx, actor, identity.VariableRead, ref)
		if err != nil {
			return err
		}
		cfg, err := tx.Config(pl.w.ID, pl.w.ConfigVersion)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(cfg.Variables)) {
			one := Variable{Name: name, Secret: cfg.Variables[name].Secret}
			if !one.Secret {
				if one.Value, err = v.c.open(pl.w.ID, name, cfg.Variables[name]); err != nil {
					return err
				}
			}
			out = append(out, one)
		}
		return nil
	})
	return out, err
}

// Set changes variables. On a workload with a release it makes the next release, of the same image, and deploys it;
// that is so too where the first deploy failed.
// A workload that does not exist yet is made, so that what the first deploy requires can be set before it.
func (v *Variables) Set(ctx context.Context, actor model.Actor, ref Ref, ch VariableChange) (out VariablesChanged, err error) {
	invalid := ch.check()
	if invalid == nil {
		invalid = ref.check()
	}
	err = v.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := v.c.org(tx, actor, identity.VariableWrite, ref.Org)
		if err != nil {
			return err
		}
		if invalid != nil {
			return invalid
		}
		pl, err := v.c.ensure(tx, actor, o, ref, "", "")
		if err != nil {
			return err
		}
		if err := v.c.guard(actor, pl); err != nil {
			return err
		}
		changed, err := v.c.changeVariables(tx, &pl.w, ch)
		if err != nil {
			return err
		}
		out.Version = pl.w.ConfigVersion
		if !changed {
			return nil
		}
		if err := v.c.record(tx, actor, o.ID, "variable.set", pl.ref().String(), ch.text()); err != nil {
			return err
		}
		base, err := baseRelease(tx, pl.w)
		if err != nil {
			return err
		}
		if base == "" {
			return tx.PutWorkload(pl.w)
		}
		out.Deploy, err = v.c.deployConfig(tx, actor, &pl, base, ch.text())
		return err
	})
	return out, err
}

// baseRelease returns the release that new variables are for: what is wanted or, where the first deploys failed, what
// failed last (for want of a variable, most likely); "" when there is none.
func baseRelease(tx *store.Tx, w model.Workload) (string, error) {
	if !w.Want.IsZero() {
		return w.Want.ReleaseID, nil
	}
	last, _, err := tx.Deploys(w.ID, "", 1)
	if err != nil || len(last) == 0 || last[0].State != model.DeployFailed {
		return "", err
	}
	return last[0].Target.ReleaseID, nil
}

// deployConfig makes a release like base with the newest variables, and deploys it.
func (c *Control) deployConfig(tx *store.Tx, actor model.Actor, pl *place, base, what string) (*Deploy, error) {
	want, err := tx.Release(base)
	if err != nil {
		return nil, err
	}
	next := sameCode(want)
	next.Description = what
	r, err := c.newRelease(tx, actor, pl, next)
	if err != nil {
		return nil, err
	}
	one, err := c.moveTo(tx, actor, pl, model.DeployConfig, r.ID, "")
	if err != nil {
		return nil, err
	}
	view, err := c.deployView(tx, one)
	return &view, err
}

// check refuses what cannot be set.
func (ch VariableChange) check() error {
	if len(ch.Set)+len(ch.Unset) == 0 {
		return model.Invalid("no variable is named").WithHint("pandabox env set NAME=value")
	}
	for _, name := range ch.Unset {
		if _, both := ch.Set[name]; both {
			return model.Invalid("%s is both set and unset", name).WithHint("choose one")
		}
	}
	for _, name := range ch.Secrets {
		if _, ok := ch.Set[name]; !ok {
			return model.Invalid("%s is to be a secret but is not set", name).WithHint("give its value in the same step")
		}
	}
	return checkVariables(ch.Set)
}

// text names what a change touches, never a value.
func (ch VariableChange) text() string {
	var parts []string
	if len(ch.Set) > 0 {
		parts = append(parts, "set "+strings.Join(slices.Sorted(maps.Keys(ch.Set)), ", "))
	}
	if len(ch.Unset) > 0 {
		parts = append(parts, "unset "+strings.Join(slices.Sorted(slices.Values(ch.Unset)), ", "))
	}
	text := strings.Join(parts, "; ")
	return strings.ToUpper(text[:1]) + text[1:]
}

func checkVariables(values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := model.CheckVariable(name, values[name]); err != nil {
			return err
		}
	}
	return nil
}
