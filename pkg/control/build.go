package control

import (
	"context"
	"errors"
	"io"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// UploadedSources takes source code.
type UploadedSources struct{ c *Control }

// Import streams an archive of source, made by pkg/source/pack, into the box. The digest of what it returns goes into
// NewDeploy.Build. A source no release that is wanted or good is made of, within a period of grace, is reclaimed.
func (u *UploadedSources) Import(ctx context.Context, actor model.Actor, org string, r io.Reader) (model.Source, error) {
	if err := u.c.allowed(ctx, actor, identity.DeployCreate, org); err != nil {
		return model.Source{}, err
	}
	if u.c.cfg.Sources == nil {
		return model.Source{}, missing("builder")
	}
	return u.c.cfg.Sources.Import(ctx, org, r)
}

// Plan finds out how a source would be built for an app, whose kind may be "": as its files say.
func (u *UploadedSources) Plan(ctx context.Context, actor model.Actor, org, app string, kind model.AppKind, b model.BuildSpec) (model.BuildPlan, error) {
	if err := u.c.allowed(ctx, actor, identity.DeployCreate, org); err != nil {
		return model.BuildPlan{}, err
	}
	if err := b.Validate(); err != nil {
		return model.BuildPlan{}, err
	}
	if u.c.cfg.Sources == nil {
		return model.BuildPlan{}, missing("builder")
	}
	return u.c.cfg.Sources.Plan(ctx, org, b, app, kind)
}

// Builds makes images and sites of source, and shows how.
type Builds struct{ c *Control }

// List returns the workload's builds, newest first.
func (b *Builds) List(ctx context.Context, actor model.Actor, ref Ref, p Page) (out List[model.Build], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = b.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := b.c.find(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		found, next, err := tx.Builds(pl.w.ID, cur.after, cur.limit)
		out = page(found, next)
		return err
	})
	return out, err
}

// Get returns one build of the workload; with id "" its newest.
func (b *Builds) Get(ctx context.Context, actor model.Actor, ref Ref, id string) (out model.Build, err error) {
	err = b.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		out, err = b.find(tx, actor, identity.AppRead, ref, id)
		return err
	})
	return out, err
}

func (b *Builds) find(tx *store.Tx, actor model.Actor, p identity.Permission, ref Ref, id string) (model.Build, error) {
	pl, err := b.c.find(tx, actor, p, ref)
	if err != nil {
		return model.Build{}, err
	}
	if id == "" {
		newest, _, err := tx.Builds(pl.w.ID, "", 1)
		if err == nil && len(newest) == 0 {
			err = model.NotFound("nothing was built for %s yet", ref).WithHint("pandabox deploy in the folder of its source")
		}
		if err != nil {
			return model.Build{}, err
		}
		return newest[0], nil
	}
	one, err := tx.Build(id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && one.WorkloadID != pl.w.ID) {
		return one, model.NotFound("there is no build %q of %s", id, ref).WithHint("see which there are: pandabox builds -a %s -e %s", ref.App, ref.env())
	}
	return one, err
}

// Cancel gives up the deploy that a build is for. KindConflict when the build is over already.
func (b *Builds) Cancel(ctx context.Context, actor model.Actor, ref Ref, id string) (model.Build, error) {
	one, err := b.Get(ctx, actor, ref, id)
	if err != nil {
		return one, err
	}
	if one.State.Final() {
		return one, model.Conflict("the build is over: %s", one.State).WithHint("pandabox builds")
	}
	_, err = b.c.Deploys.Cancel(ctx, actor, ref, one.DeployID)
	return one, err
}

// Log gives the lines of a build's log to yield but for the first skip, and with follow those to come until the build is
// over.
func (b *Builds) Log(ctx context.Context, actor model.Actor, ref Ref, id string, skip int, follow bool, yield func(model.BuildLine) error) error {
	var one model.Build
	err := b.c.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		one, err = b.find(tx, actor, identity.LogRead, ref, id)
		return err
	})
	if err != nil {
		return err
	}
	if b.c.cfg.Builder == nil {
		return missing("builder")
	}
	seen := 0
	from := func(least int) func(model.BuildLine) error {
		n := 0
		return func(l model.BuildLine) error {
			if n++; n <= least {
				return nil
			}
			seen = n
			return yield(l)
		}
	}
	seen = skip
	for follow && !one.State.Final() {
		over, stop := b.untilOver(ctx, one.ID)
		err := b.c.cfg.Builder.BuildLog(over, one.ID, true, from(seen))
		canceled := over.Err() != nil
		stop()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !canceled:
			return err
		}
		if one, err = b.record(ctx, one.ID); err != nil {
			return err
		}
	}
	return b.c.cfg.Builder.BuildLog(ctx, one.ID, false, from(seen))
}

func (b *Builds) record(ctx context.Context, id string) (one model.Build, err error) {
	err = b.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		one, err = tx.Build(id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = model.NotFound("the build is forgotten").WithHint("see which there are: pandabox builds")
	}
	return one, err
}

// untilOver returns a context that ends with the build. stop ends it and waits for that.
func (b *Builds) untilOver(ctx context.Context, id string) (over context.Context, stop func()) {
	over, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	changed, release := b.c.cfg.Store.Changed()
	go func() {
		defer close(done)
		defer cancel()
		defer release()
		for {
			if one, err := b.record(over, id); err != nil || one.State.Final() {
				return
			}
			select {
			case <-over.Done():
				return
			case <-changed:
			}
		}
	}()
	return over, func() { cancel(); <-done }
}

// Prune removes the cache of builds and returns how many bytes that freed.
func (b *Builds) Prune(ctx context.Context, actor model.Actor) (int64, error) {
	err := b.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := b.c.boxOrg(tx, actor, identity.BuildPrune)
		if err != nil {
			return err
		}
		return b.c.record(tx, actor, o.ID, "build.prune", "the build cache", "")
	})
	if err != nil {
		return 0, err
	}
	if b.c.cfg.Builder == nil {
		return 0, missing("builder")
	}
	return b.c.cfg.Builder.PruneBuilds(ctx)
}
