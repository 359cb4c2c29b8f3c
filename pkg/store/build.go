package store

import (
	"github.com/pandabox/pandabox/pkg/model"
)

// KeepBuilds is how many of a workload's builds are kept, with their logs, besides those under way.
const KeepBuilds = 50

// Build returns a build by its id.
func (tx *Tx) Build(id string) (model.Build, error) { return builds().get(tx, id) }

// Builds returns a workload's builds, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) Builds(workloadID, after string, limit int) ([]model.Build, string, error) {
	return builds().list(tx, scan{index: "workload", prefix: workloadID + "/", after: after, limit: limit, reverse: true})
}

// OpenBuild returns the build of a release that is queued or running; ErrNotFound when there is none.
func (tx *Tx) OpenBuild(releaseID string) (model.Build, error) {
	return builds().by(tx, "open", releaseID)
}

// PutBuild writes a build, and tells of a new state.
func (tx *Tx) PutBuild(b model.Build) error {
	was, err := builds().get(tx, b.ID)
	if _, err = zeroIfMissing(was, was, err); err != nil {
		return err
	}
	tx.touch(b.WorkloadID)
	if err := builds().put(tx, b); err != nil || was.State == b.State {
		return err
	}
	return tx.Emit(model.Event{Kind: "build", OrgID: b.OrgID, WorkloadID: b.WorkloadID, DeployID: b.DeployID, State: string(b.State), Detail: b.Plan})
}

// CancelBuilds ends the workload's builds that are not over, but for the one that keep names.
func (tx *Tx) CancelBuilds(workloadID, keep string) error {
	bs, _, err := tx.Builds(workloadID, "", 0)
	for _, b := range bs {
		if b.State.Final() || b.ID == keep {
			continue
		}
		b.State, b.FinishedAt = model.BuildCanceled, tx.Now()
		if err := tx.PutBuild(b); err != nil {
			return err
		}
	}
	return err
}

// endBuild ends the build of a deploy that is over.
func (tx *Tx) endBuild(d model.Deploy) error {
	b, err := tx.OpenBuild(d.Target.ReleaseID)
	if err != nil || b.DeployID != d.ID {
		_, err = zeroIfMissing(b, b, err)
		return err
	}
	b.State, b.FinishedAt, b.Error = model.BuildCanceled, tx.Now(), d.Error
	if d.State == model.DeployFailed || d.State == model.DeployRolledBack {
		b.State = model.BuildFailed
	}
	return tx.PutBuild(b)
}

// trimBuilds forgets the builds that are over and too old.
func (tx *Tx) trimBuilds(workloadID string) error {
	bs, _, err := tx.Builds(workloadID, "", 0)
	for i, b := range bs {
		if i >= KeepBuilds && b.State.Final() {
			if err := builds().delete(tx, b.ID); err != nil {
				return err
			}
		}
	}
	return err
}

// buildIDs returns the ids of all builds.
func (tx *Tx) buildIDs() ([]string, error) {
	bs, _, err := builds().list(tx, scan{})
	out := make([]string, len(bs))
	for i, b := range bs {
		out[i] = b.ID
	}
	return out, err
}
