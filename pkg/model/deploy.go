package model

import "time"

// DeployKind is why a workload moves.
type DeployKind string

// The kinds of deploy.
const (
	DeployRelease  DeployKind = "deploy"
	DeployRollback DeployKind = "rollback"
	DeployConfig   DeployKind = "config"
	DeployRestart  DeployKind = "restart"
	DeployPromote  DeployKind = "promote" // what another environment runs
	DeployScale    DeployKind = "scale"   // CPU or memory changed, so every replica is replaced
)

// DeployState is how far a deploy has come.
type DeployState string

// The states of a deploy. It goes down this list; the last five are final.
const (
	DeployPending    DeployState = "pending"
	DeployBuilding   DeployState = "building"  // the image or site is made of source
	DeployPulling    DeployState = "pulling"   // resolving and fetching the image
	DeployReleasing  DeployState = "releasing" // the release process runs
	DeployStarting   DeployState = "starting"  // new replicas start and are probed
	DeployDraining   DeployState = "draining"  // requests go to the new release; old ones finish
	DeploySucceeded  DeployState = "succeeded"
	DeployRolledBack DeployState = "rolled_back" // it failed, the previous release serves
	DeployFailed     DeployState = "failed"      // it failed, and there was no previous release
	DeployCanceled   DeployState = "canceled"
	DeploySuperseded DeployState = "superseded" // a newer deploy came first
)

// Final tells whether s never changes again.
func (s DeployState) Final() bool {
	switch s {
	case DeploySucceeded, DeployRolledBack, DeployFailed, DeployCanceled, DeploySuperseded:
		return true
	}
	return false
}

var deployOrder = map[DeployState]int{DeployPending: 0, DeployBuilding: 1, DeployPulling: 2, DeployReleasing: 3, DeployStarting: 4, DeployDraining: 5}

// CanBecome tells whether a deploy in state s may move to state t: forward only, phases may be left out.
func (s DeployState) CanBecome(t DeployState) bool {
	if s.Final() {
		return false
	}
	if t.Final() {
		return true
	}
	return deployOrder[t] > deployOrder[s]
}

// Deploy is the act of moving a workload to a release: who, why, phases, timings, outcome.
type Deploy struct {
	ID          string      `json:"id"`
	OrgID       string      `json:"orgId"`
	WorkloadID  string      `json:"workloadId"`
	Kind        DeployKind  `json:"kind"`
	Target      Target      `json:"target"`
	From        Target      `json:"from"` // what served when it began; zero at the first deploy
	State       DeployState `json:"state"`
	Phases      []Phase     `json:"phases,omitempty"` // in the order they began; the last may be open
	Error       *Error      `json:"error,omitempty"`  // why it failed or was rolled back
	Actor       string      `json:"actor"`
	Message     string      `json:"message,omitempty"`
	CancelAsked bool        `json:"cancelAsked,omitempty"`
	CreatedAt   time.Time   `json:"createdAt"`
	FinishedAt  time.Time   `json:"finishedAt,omitzero"`
}

// Phase is one step of a deploy.
type Phase struct {
	State   DeployState `json:"state"`
	Detail  string      `json:"detail,omitempty"` // "web ×2 healthy on /up"
	Began   time.Time   `json:"began"`
	Ended   time.Time   `json:"ended,omitzero"`
	Percent int         `json:"percent,omitempty"` // 0 to 100 where it is known
}
