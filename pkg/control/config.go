package control

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// MaxVariablesTotal bounds all variables of a workload together, in bytes: Linux starts no program whose environment
// and arguments pass about 2 MB.
const MaxVariablesTotal = 1 << 20

// Environ opens the variables of a configuration version as "NAME=value", sorted by name; version 0 has none. It is
// for the executor, at the moment a container is made, and authorizes nobody.
func (c *Control) Environ(ctx context.Context, workloadID string, version int) ([]string, error) {
	var out []string
	err := c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		cfg, err := tx.Config(workloadID, version)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(cfg.Variables)) {
			value, err := c.open(workloadID, name, cfg.Variables[name])
			if err != nil {
				return err
			}
			out = append(out, name+"="+value)
		}
		return nil
	})
	return out, err
}

// changeVariables makes the workload's next configuration version, unless nothing changes; w is brought up to date but
// not written.
func (c *Control) changeVariables(tx *store.Tx, w *model.Workload, ch VariableChange) (bool, error) {
	return c.nextConfig(tx, w, func(vars map[string]model.Variable) error {
		for name, value := range ch.Set {
			old, had := vars[name]
			if err := c.set(vars, w.ID, name, value, model.Variable{Secret: (had && old.Secret) || slices.Contains(ch.Secrets, name) || slices.Contains(w.SecretNames, name)}); err != nil {
				return err
			}
		}
		for _, name := range ch.Unset {
			delete(vars, name)
		}
		return nil
	})
}

// declareVariables is changeVariables for what an app's own file says: it does not replace what somebody set.
func (c *Control) declareVariables(tx *store.Tx, w *model.Workload, values map[string]string, secretNames []string) (bool, error) {
	if len(secretNames) > 0 {
		w.SecretNames = slices.Compact(slices.Sorted(slices.Values(secretNames)))
	}
	return c.nextConfig(tx, w, func(vars map[string]model.Variable) error {
		for name, value := range values {
			if old, had := vars[name]; had && !old.Declared {
				continue
			}
			if err := c.set(vars, w.ID, name, value, model.Variable{Secret: vars[name].Secret, Declared: true}); err != nil {
				return err
			}
		}
		for _, name := range secretNames {
			if v, ok := vars[name]; ok {
				v.Secret = true
				vars[name] = v
			}
		}
		return nil
	})
}

// restoreConfig makes the variables of an earlier version the newest ones again; w is not written.
func (c *Control) restoreConfig(tx *store.Tx, w *model.Workload, version int) error {
	if version == w.ConfigVersion {
		return nil
	}
	old, err := tx.Config(w.ID, version)
	if err != nil {
		return err
	}
	_, err = c.nextConfig(tx, w, func(vars map[string]model.Variable) error {
		clear(vars)
		maps.Copy(vars, old.Variables) // a sealed value is bound to the workload and the name, not to the version
		return nil
	})
	return err
}

// nextConfig lets edit change a copy of the newest variables and keeps the result as the next version, unless it is
// the same.
func (c *Control) nextConfig(tx *store.Tx, w *model.Workload, edit func(map[string]model.Variable) error) (bool, error) {
	cfg, err := tx.Config(w.ID, w.ConfigVersion)
	if err != nil {
		return false, err
	}
	vars := maps.Clone(cfg.Variables)
	if vars == nil {
		vars = map[string]model.Variable{}
	}
	if err := edit(vars); err != nil {
		return false, err
	}
	if maps.EqualFunc(vars, cfg.Variables, sameVariable) {
		return false, nil
	}
	total := 0
	for name, v := range vars {
		total += len(name) + len(v.Sealed)
	}
	switch {
	case len(vars) > model.MaxVariables:
		return false, model.Errorf(model.KindTooLarge, "there would be %d variables", len(vars)).WithHint("at most %d fit", model.MaxVariables)
	case total > MaxVariablesTotal:
		return false, model.Errorf(model.KindTooLarge, "the variables would be %d KB together", total>>10).
			WithHint("at most %d KB fit; put larger data in a volume", MaxVariablesTotal>>10)
	}
	w.ConfigVersion++
	return true, tx.PutConfig(model.Config{WorkloadID: w.ID, Version: w.ConfigVersion, Variables: vars, CreatedAt: c.now()})
}

func sameVariable(a, b model.Variable) bool {
	return a.Secret == b.Secret && a.Declared == b.Declared && string(a.Sealed) == string(b.Sealed)
}

// set seals a value, unless the variable has it already: then the sealed form stays, so that nothing changes.
func (c *Control) set(vars map[string]model.Variable, workloadID, name, value string, as model.Variable) error {
	if old, had := vars[name]; had {
		was, err := c.open(workloadID, name, old)
		if err != nil {
			return err
		}
		if was == value {
			as.Sealed = old.Sealed
			vars[name] = as
			return nil
		}
	}
	sealed, err := c.keys.Seal([]byte(value), "variable", workloadID, name)
	if err != nil {
		return err
	}
	as.Sealed = sealed
	vars[name] = as
	return nil
}

// open returns a variable's value.
func (c *Control) open(workloadID, name string, v model.Variable) (string, error) {
	value, err := c.keys.Open(v.Sealed, "variable", workloadID, name)
	if err != nil {
		return "", model.Errorf(model.KindInternal, "the variable %s cannot be opened", name).Wrap(err).WithWhy("%s", err).
			WithHint("set it again, or put keys/master back from a backup")
	}
	return string(value), nil
}

// checkRequired refuses a deploy that lacks variables it cannot do without.
func (c *Control) checkRequired(tx *store.Tx, pl place, required []string) error {
	if len(required) == 0 {
		return nil
	}
	cfg, err := tx.Config(pl.w.ID, pl.w.ConfigVersion)
	if err != nil {
		return err
	}
	var lack []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(required))) {
		v, ok := cfg.Variables[name]
		if ok {
			value, err := c.open(pl.w.ID, name, v)
			if err != nil {
				return err
			}
			ok = value != ""
		}
		if !ok {
			lack = append(lack, name)
		}
	}
	if len(lack) == 0 {
		return nil
	}
	return model.Invalid("%s cannot start: %s missing", pl.ref(), isAre(lack)).WithWhy("the app says that it needs them").
		WithHint("pandabox env set %s=… -a %s -e %s", strings.Join(lack, "=… "), pl.app.Name, pl.env.Name)
}

func isAre(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}
