package api

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Workload is an app in one environment: what should run there and what is seen.
type Workload struct {
	ID        string                 `json:"id"`
	OrgID     string                 `json:"orgId"`
	Project   string                 `json:"project"`
	App       string                 `json:"app"`
	Env       string                 `json:"env"`
	Kind      model.AppKind          `json:"kind"`
	EnvKind   model.EnvironmentKind  `json:"envKind"`
	Protected bool                   `json:"protected,omitempty"`
	State     model.WorkloadState    `json:"state"`
	URL       string                 `json:"url,omitempty" doc:"where it answers; absent without domains"`
	Release   int                    `json:"release,omitempty" doc:"number of the release that should serve"`
	Serving   int                    `json:"serving,omitempty" doc:"number of the release requests reach"`
	Deploy    *Deploy                `json:"deploy,omitempty" doc:"the deploy on its way"`
	Function  *model.Function        `json:"function,omitempty" doc:"of the release that should serve, where the app is one"`
	Static    *model.Static          `json:"static,omitempty" doc:"of the release that should serve, where the app is one"`
	Processes []WorkloadProcess      `json:"processes" doc:"of the release that should serve"`
	Replicas  []model.ReplicaStatus  `json:"replicas" doc:"what is seen"`
	Usage     map[string]model.Usage `json:"usage,omitempty" doc:"by the replica's name; only where one workload is asked for"`
	Problem   *model.Error           `json:"problem,omitempty" doc:"what is wrong now"`
	Domains   []Domain               `json:"domains" doc:"the default one first"`
	Config    int                    `json:"config,omitempty" doc:"version of its variables"`
	Deleting  bool                   `json:"deleting,omitempty" doc:"it is being removed with all it has"`
	CreatedAt time.Time              `json:"createdAt"`
	UpdatedAt time.Time              `json:"updatedAt,omitzero" doc:"of what is seen"`
}

// WorkloadProcess is a process with the scale that counts: what was set for the workload over what the release says.
type WorkloadProcess struct {
	Name     string      `json:"name"`
	Command  []string    `json:"command,omitempty" doc:"absent: as the image says"`
	Port     int         `json:"port,omitempty" doc:"of the process that takes requests"`
	Scale    model.Scale `json:"scale"`
	Replicas int         `json:"replicas" doc:"wanted"`
	Healthy  int         `json:"healthy" doc:"seen healthy, of any release"`
}
