package store

import (
	"github.com/pandabox/pandabox/pkg/model"
)

// How much of a workload's past is kept, besides what is in use.
const (
	KeepReleases = 50
	KeepDeploys  = 100
	KeepImages   = 10 // newest releases of a workload whose images are kept on the box, to roll back to
)

// Release returns a release by its id.
func (tx *Tx) Release(id string) (model.Release, error) { return releases().get(tx, id) }

// ReleaseNumber returns a workload's release by its number.
func (tx *Tx) ReleaseNumber(workloadID string, n int) (model.Release, error) {
	return releases().by(tx, "number", join(workloadID, number(uint64(n))))
}

// Releases returns a workload's releases, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) Releases(workloadID, after string, limit int) ([]model.Release, string, error) {
	return releases().list(tx, scan{index: "number", prefix: workloadID + "/", after: after, limit: limit, reverse: true})
}

// PutRelease writes a release.
func (tx *Tx) PutRelease(r model.Release) error {
	tx.touch(r.WorkloadID)
	return releases().put(tx, r)
}

// Config returns a version of a workload's variables; version 0 is the empty one.
func (tx *Tx) Config(workloadID string, version int) (model.Config, error) {
	if version == 0 {
		return model.Config{WorkloadID: workloadID}, nil
	}
	return configs().get(tx, join(workloadID, number(uint64(version))))
}

// PutConfig writes a version of a workload's variables.
func (tx *Tx) PutConfig(c model.Config) error { return configs().put(tx, c) }

// EachConfig gives every version of every workload's variables to fn.
func (tx *Tx) EachConfig(fn func(model.Config) error) error {
	all, _, err := configs().list(tx, scan{})
	for _, c := range all {
		if err := fn(c); err != nil {
			return err
		}
	}
	return err
}

// Trim forgets the releases, deploys and configurations of a workload that retention no longer keeps.
func (tx *Tx) Trim(workloadID string) error {
	w, err := tx.Workload(workloadID)
	if err != nil {
		return err
	}
	st, err := tx.Status(workloadID)
	if err != nil {
		return err
	}
	if err := tx.trimBuilds(workloadID); err != nil {
		return err
	}
	inUse := map[string]bool{w.Want.ReleaseID: true, w.Good.ReleaseID: true, st.Serving.ReleaseID: true}
	ds, _, err := tx.Deploys(workloadID, "", 0)
	if err != nil {
		return err
	}
	for i, d := range ds {
		if !d.State.Final() {
			inUse[d.Target.ReleaseID], inUse[d.From.ReleaseID] = true, true
		} else if i >= KeepDeploys {
			if err := deploys().delete(tx, d.ID); err != nil {
				return err
			}
		}
	}
	rs, _, err := tx.Releases(workloadID, "", 0)
	if err != nil {
		return err
	}
	named := map[int]bool{w.ConfigVersion: true}
	for i, r := range rs {
		if i < KeepReleases || inUse[r.ID] {
			named[r.ConfigVersion] = true
		} else if err := releases().delete(tx, r.ID); err != nil {
			return err
		}
	}
	cs, _, err := configs().list(tx, scan{prefix: workloadID + "/"})
	if err != nil {
		return err
	}
	for _, c := range cs {
		if !named[c.Version] {
			if err := configs().delete(tx, configs().key(&c)); err != nil {
				return err
			}
		}
	}
	return nil
}
