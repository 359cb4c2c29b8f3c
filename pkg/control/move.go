package control

import (
	"fmt"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// moveTo makes the deploy of a release and sets the workload on its way; pl.w is brought up to date. A deploy that is
// on its way is superseded.
func (c *Control) moveTo(tx *store.Tx, actor model.Actor, pl *place, kind model.DeployKind, releaseID, message string) (model.Deploy, error) {
	return c.moveToBuilt(tx, actor, pl, kind, releaseID, message, "")
}

// moveToBuilt is moveTo for a release that is to be built: plan says how, for people.
func (c *Control) moveToBuilt(tx *store.Tx, actor model.Actor, pl *place, kind model.DeployKind, releaseID, message, plan string) (model.Deploy, error) {
	if err := c.endDeploy(tx, pl.w, model.DeploySuperseded, "a newer deploy came first"); err != nil {
		return model.Deploy{}, err
	}
	generation, err := nextGeneration(tx, pl.w, releaseID)
	if err != nil {
		return model.Deploy{}, err
	}
	d := model.Deploy{
		ID: c.newID("deploy"), OrgID: pl.org.ID, WorkloadID: pl.w.ID, Kind: kind,
		Target: model.Target{ReleaseID: releaseID, Generation: generation}, From: pl.w.Good,
		State: model.DeployPending, Actor: nameOf(actor), Message: shown(message), CreatedAt: c.now(),
	}
	pl.w.Want, pl.w.DeployID = d.Target, d.ID
	if err := tx.PutDeploy(d); err != nil {
		return d, err
	}
	if err := c.openBuild(tx, d, plan); err != nil {
		return d, err
	}
	if err := tx.PutWorkload(pl.w); err != nil {
		return d, err
	}
	if err := tx.Emit(model.Event{Kind: "deploy", OrgID: pl.org.ID, WorkloadID: pl.w.ID, DeployID: d.ID, State: string(d.State), Detail: fmt.Sprintf("%s of %s by %s", kind, pl.ref(), d.Actor)}); err != nil {
		return d, err
	}
	return d, tx.Trim(pl.w.ID)
}

// endDeploy ends the deploy that is on its way, if there is one.
func (c *Control) endDeploy(tx *store.Tx, w model.Workload, state model.DeployState, why string) error {
	if w.DeployID == "" {
		return nil
	}
	d, err := tx.Deploy(w.DeployID)
	if err != nil || d.State.Final() {
		return err
	}
	d.State, d.FinishedAt = state, c.now()
	if n := len(d.Phases); n > 0 && d.Phases[n-1].Ended.IsZero() {
		d.Phases[n-1].Ended = d.FinishedAt
	}
	if err := tx.PutDeploy(d); err != nil {
		return err
	}
	return tx.Emit(model.Event{Kind: "deploy", OrgID: d.OrgID, WorkloadID: d.WorkloadID, DeployID: d.ID, State: string(state), Detail: why})
}

// nextGeneration returns a generation of the release that never was a target, so that its containers' names are new.
func nextGeneration(tx *store.Tx, w model.Workload, releaseID string) (int, error) {
	n := 0
	for _, t := range []model.Target{w.Want, w.Good} {
		if t.ReleaseID == releaseID {
			n = max(n, t.Generation)
		}
	}
	ds, _, err := tx.Deploys(w.ID, "", 0)
	for _, d := range ds {
		if d.Target.ReleaseID == releaseID {
			n = max(n, d.Target.Generation)
		}
	}
	return n + 1, err
}

// newRelease makes the workload's next release; pl.w is brought up to date but not written.
func (c *Control) newRelease(tx *store.Tx, actor model.Actor, pl *place, r model.Release) (model.Release, error) {
	pl.w.LastRelease++
	r.ID, r.WorkloadID, r.Number = c.newID("release"), pl.w.ID, pl.w.LastRelease
	r.ConfigVersion, r.CreatedBy, r.CreatedAt = pl.w.ConfigVersion, nameOf(actor), c.now()
	return r, tx.PutRelease(r)
}

// rollbackTarget returns the release to go back to.
func rollbackTarget(tx *store.Tx, w model.Workload, ref Ref, number int) (model.Release, error) {
	if number < 0 {
		return model.Release{}, model.Invalid("%d is not a release", number).WithHint("see which there are: pandabox releases")
	}
	if w.Want.IsZero() && w.LastRelease == 0 {
		return model.Release{}, nothingDeployed(ref)
	}
	if number > 0 {
		r, err := findRelease(tx, w.ID, ref, number)
		if err == nil && w.Want.ReleaseID == r.ID && w.Good.ReleaseID == r.ID && w.DeployID == "" {
			return r, model.Conflict("v%d is what %s runs already", number, ref).WithHint("choose another: pandabox releases")
		}
		return r, err
	}
	below := w.LastRelease + 1
	if !w.Want.IsZero() {
		r, err := tx.Release(w.Want.ReleaseID)
		if err != nil {
			return r, err
		}
		below = r.Number
	}
	rs, _, err := tx.Releases(w.ID, "", 0)
	if err != nil {
		return model.Release{}, err
	}
	for _, r := range rs {
		if r.Number < below && !r.GoodAt.IsZero() {
			return r, nil
		}
	}
	return model.Release{}, model.Conflict("there is no earlier release of %s that was healthy", ref).
		WithHint("choose one by its number: pandabox releases, then pandabox rollback NUMBER")
}
