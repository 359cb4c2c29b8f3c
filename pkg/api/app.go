package api

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// App is a deployable with its project and where it runs.
type App struct {
	ID        string        `json:"id"`
	OrgID     string        `json:"orgId"`
	Name      string        `json:"name"`
	Kind      model.AppKind `json:"kind"`
	Project   string        `json:"project"`
	CreatedAt time.Time     `json:"createdAt"`
	Workloads []Workload    `json:"workloads" doc:"one for each environment, by its name"`
}
