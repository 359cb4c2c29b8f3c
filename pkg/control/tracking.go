package control

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Trackings say which pushes are deployed where.
type Trackings struct{ c *Control }

// Tracking is what one environment of an app tracks.
type Tracking struct {
	model.Tracking
	Env string `json:"env"`
}

// List returns what the environments of an app track, by name.
func (t *Trackings) List(ctx context.Context, actor model.Actor, org, app string) (out []Tracking, err error) {
	err = t.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, a, err := t.c.app(tx, actor, identity.AppRead, Ref{Org: org, App: app})
		if err != nil {
			return err
		}
		envs, err := trackings(tx, o, a.Name)
		for _, env := range slices.Sorted(maps.Keys(envs)) {
			out = append(out, Tracking{envs[env], env})
		}
		return err
	})
	return out, err
}

// Set says which pushes are deployed to an environment. App and environment are made where they are not there yet.
func (t *Trackings) Set(ctx context.Context, actor model.Actor, ref Ref, want model.Tracking) (Tracking, error) {
	if err := ref.check(); err != nil {
		return Tracking{}, err
	}
	if err := want.Validate(); err != nil {
		return Tracking{}, err
	}
	if _, err := patternmatcher.New(want.Paths); err != nil {
		return Tracking{}, model.Invalid("the patterns of paths cannot be read").Wrap(err).WithWhy("%s", err).WithHint(`write them as in .gitignore: "apps/web/**"`)
	}
	err := t.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := t.c.org(tx, actor, identity.DeployCreate, ref.Org)
		if err != nil {
			return err
		}
		pl, err := t.c.ensure(tx, actor, o, ref, "", "")
		if err != nil {
			return err
		}
		if err := t.c.guard(actor, pl); err != nil {
			return err
		}
		if pl.env.Kind == model.EnvPreview {
			return model.Invalid("%s is a preview: it follows its pull request", pl.env.Name).WithHint("choose another environment with -e")
		}
		pl.w.Tracking = &want
		if err := tx.PutWorkload(pl.w); err != nil {
			return err
		}
		return t.c.record(tx, actor, o.ID, "tracking.set", pl.ref().String(), trackingText(want))
	})
	return Tracking{want, ref.env()}, err
}

func trackingText(t model.Tracking) string {
	parts := []string{t.Branch}
	if t.Branch == "" {
		parts[0] = "the default branch"
	}
	if t.Manual {
		parts = append(parts, "by hand")
	}
	if t.Dir != "" {
		parts = append(parts, "of "+t.Dir)
	}
	if len(t.Paths) > 0 {
		parts = append(parts, "where "+strings.Join(t.Paths, ", ")+" change")
	}
	return strings.Join(parts, ", ")
}
