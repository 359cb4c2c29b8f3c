package control

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Releases are what a workload ran, runs and can go back to.
type Releases struct{ c *Control }

// Release is a release and what it is now.
type Release struct {
	model.Release
	Wanted  bool `json:"wanted"`  // what should serve
	Serving bool `json:"serving"` // what requests reach
	Good    bool `json:"good"`    // it was healthy once, so it can be rolled back to
}

// List returns the workload's releases, newest first.
func (r *Releases) List(ctx context.Context, actor model.Actor, ref Ref, p Page) (out List[Release], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = r.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := r.c.find(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		st, err := tx.Status(pl.w.ID)
		if err != nil {
			return err
		}
		found, next, err := tx.Releases(pl.w.ID, cur.after, cur.limit)
		if err != nil {
			return err
		}
		views := make([]Release, len(found))
		for i, one := range found {
			views[i] = releaseView(pl.w, st, one)
		}
		out = page(views, next)
		return nil
	})
	return out, err
}

// Get returns one release by its number.
func (r *Releases) Get(ctx context.Context, actor model.Actor, ref Ref, number int) (out Release, err error) {
	err = r.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := r.c.find(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		st, err := tx.Status(pl.w.ID)
		if err != nil {
			return err
		}
		one, err := findRelease(tx, pl.w.ID, ref, number)
		out = releaseView(pl.w, st, one)
		return err
	})
	return out, err
}

// sameCode returns what a release that runs what r runs has in common with it.
func sameCode(r model.Release) model.Release {
	return model.Release{
		Image: r.Image, Processes: r.Processes, Volumes: r.Volumes, Function: r.Function, Static: r.Static, Build: r.Build, Revision: r.Revision, Jobs: r.Jobs,
	}
}

func releaseView(w model.Workload, st model.WorkloadStatus, r model.Release) Release {
	return Release{Release: r, Wanted: w.Want.ReleaseID == r.ID, Serving: st.Serving.ReleaseID == r.ID, Good: !r.GoodAt.IsZero()}
}

func findRelease(tx *store.Tx, workloadID string, ref Ref, number int) (model.Release, error) {
	r, err := tx.ReleaseNumber(workloadID, max(number, 0))
	if errors.Is(err, store.ErrNotFound) {
		return r, model.NotFound("there is no release v%d of %s", number, ref).
			WithHint("see which there are: pandabox releases -a %s -e %s", ref.App, ref.env())
	}
	return r, err
}
