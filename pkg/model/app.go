package model

import "time"

// AppKind is how an app runs.
type AppKind string

// The kinds of app.
const (
	KindWeb      AppKind = "web"
	KindWorker   AppKind = "worker"
	KindStatic   AppKind = "static"
	KindFunction AppKind = "function"
)

// App is a deployable of a project. It runs once per environment; see Workload.
type App struct {
	ID         string      `json:"id"`
	OrgID      string      `json:"orgId"`
	ProjectID  string      `json:"projectId"`
	Name       string      `json:"name"` // unique in the org, so that -a NAME is never ambiguous
	Kind       AppKind     `json:"kind"`
	Previewing *Previewing `json:"previewing,omitempty"` // nil is the default
	CreatedAt  time.Time   `json:"createdAt"`
}

// Workload is an app in one environment: what should run there. Its fields are intent; what is seen is in
// WorkloadStatus.
type Workload struct {
	ID        string `json:"id"`
	OrgID     string `json:"orgId"`
	ProjectID string `json:"projectId"`
	AppID     string `json:"appId"`
	EnvID     string `json:"envId"`

	Want          Target           `json:"want"`                  // what should serve; zero before the first deploy
	Good          Target           `json:"good"`                  // the last that became healthy: it serves until Want is healthy, and a failed deploy goes back to it
	DeployID      string           `json:"deployId,omitempty"`    // the deploy on its way; "" when settled
	Scale         map[string]Scale `json:"scale,omitempty"`       // by process, in place of the release's own; zero fields keep the release's
	ConfigVersion int              `json:"configVersion"`         // the newest Config; 0 means none yet
	SecretNames   []string         `json:"secretNames,omitempty"` // variables that the app's own file calls secret, set or not
	Tracking      *Tracking        `json:"tracking,omitempty"`    // which pushes are deployed; nil is the default
	LastRelease   int              `json:"lastRelease"`           // the greatest release number given out
	Deleting      bool             `json:"deleting,omitempty"`    // remove every trace, then the record
	CreatedAt     time.Time        `json:"createdAt"`
}

// Target is a release, run afresh: every restart and every change of CPU or memory counts Generation up by one.
type Target struct {
	ReleaseID  string `json:"releaseId"`
	Generation int    `json:"generation"`
}

// IsZero tells whether there is no target.
func (t Target) IsZero() bool { return t.ReleaseID == "" }
