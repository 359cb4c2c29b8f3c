package store

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Deploy returns a deploy by its id.
func (tx *Tx) Deploy(id string) (model.Deploy, error) { return deploys().get(tx, id) }

// Deploys returns a workload's deploys, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) Deploys(workloadID, after string, limit int) ([]model.Deploy, string, error) {
	return deploys().list(tx, scan{index: "workload", prefix: workloadID + "/", after: after, limit: limit, reverse: true})
}

// PutDeploy writes a deploy.
func (tx *Tx) PutDeploy(d model.Deploy) error {
	tx.touch(d.WorkloadID)
	return deploys().put(tx, d)
}

// NewestID returns the latest moment of any deploy's or token's id, the zero time when there is none: ids of a box sort
// by age also when its clock was set back.
func (tx *Tx) NewestID() time.Time {
	var newest time.Time
	for _, name := range []string{deploys().name, tokens().name} {
		if k, _ := tx.bucket(name).Cursor().Last(); k != nil {
			if at := model.TimeOfID(string(k)); at.After(newest) {
				newest = at
			}
		}
	}
	return newest
}
