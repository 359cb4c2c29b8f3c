package model

import "time"

// WorkloadState sums up a workload.
type WorkloadState string

// The states of a workload.
const (
	WorkloadNew      WorkloadState = "new"      // nothing deployed yet
	WorkloadStarting WorkloadState = "starting" // first deploy on its way
	WorkloadRunning  WorkloadState = "running"  // every wanted replica is healthy
	WorkloadDegraded WorkloadState = "degraded" // some are, some are not
	WorkloadDown     WorkloadState = "down"     // none is
	WorkloadStopped  WorkloadState = "stopped"  // scaled to zero
)

// WorkloadStatus is what the controller sees of a workload. Only the controller writes it.
type WorkloadStatus struct {
	WorkloadID string          `json:"workloadId"`
	State      WorkloadState   `json:"state"`
	Serving    Target          `json:"serving"` // what requests reach; zero: nothing
	Replicas   []ReplicaStatus `json:"replicas,omitempty"`
	Problem    *Error          `json:"problem,omitempty"` // what is wrong now
	UpdatedAt  time.Time       `json:"updatedAt"`
}

// ReplicaState is how one replica is.
type ReplicaState string

// The states of a replica.
const (
	ReplicaStarting  ReplicaState = "starting"
	ReplicaHealthy   ReplicaState = "healthy"
	ReplicaUnhealthy ReplicaState = "unhealthy"
	ReplicaDraining  ReplicaState = "draining"
	ReplicaBackoff   ReplicaState = "backoff" // it crashed; waiting before the next start
)

// ReplicaStatus is what the controller sees of one replica.
type ReplicaStatus struct {
	Name      string       `json:"name"`
	Replica   Replica      `json:"replica"`
	State     ReplicaState `json:"state"`
	Addr      string       `json:"addr,omitempty"`
	Restarts  int          `json:"restarts"`
	LastExit  *Exit        `json:"lastExit,omitempty"`
	Since     time.Time    `json:"since"` // of State
	NextStart time.Time    `json:"nextStart,omitzero"`
}

// Desired is what the controller works from: one consistent snapshot of all intent, and the status it wrote last.
type Desired struct {
	Workloads []DesiredWorkload
}

// DesiredWorkload is one workload with all that belongs to it.
type DesiredWorkload struct {
	Workload Workload
	App      App
	Env      Environment
	Want     *Release // nil before the first deploy
	Good     *Release // nil until one became healthy; may be the same as Want
	Deploy   *Deploy  // nil when settled
	Domains  []Domain
	On       map[string][]Domain // by app: the domains of the apps that Want.Function and Good.Function are on, in the same environment
	Status   WorkloadStatus
}

// WorkloadUpdate is what the controller writes back about one workload, all of it in one transaction. Nil and zero
// fields leave things as they are.
type WorkloadUpdate struct {
	WorkloadID string
	Status     *WorkloadStatus
	ReleaseID  string // with Image: the release that was resolved
	Image      *Image
	Static     *Static // with ReleaseID: what was built of it, in place of Image
	Deploy     *Deploy // replaces the stored one unless that is final already
	Good       *Target // a target became healthy, or (after a roll-back) still is
	RollBackTo *Target // set Want back to this, unless a newer deploy changed Want meanwhile; DeployID is cleared
	Settled    string  // clear DeployID if it is this deploy
	Removed    bool    // nothing of a deleting workload is left: forget it
}
