package api

import "github.com/pandabox/pandabox/pkg/model"

// Deploy is a deploy with the names and numbers people use.
type Deploy struct {
	model.Deploy
	App         string `json:"app"`
	Env         string `json:"env"`
	Release     int    `json:"release,omitempty" doc:"number of the release it moves to; absent when that is forgotten"`
	FromRelease int    `json:"fromRelease,omitempty" doc:"number of the release that served when it began"`
	URL         string `json:"url,omitempty" doc:"where the workload answers"`
	Approval    string `json:"approval,omitempty" doc:"the approval that the deploy waits for; it is not created yet and has no id then"`
}

// NewDeploy asks for a new release and a deploy of it. What does not exist yet is made: project, environment, app and
// default domain.
type NewDeploy struct {
	Image     model.Image            `json:"image,omitzero" doc:"ref to pull, or digest of an uploaded image"`
	Function  *model.Function        `json:"function,omitempty" doc:"in place of image, processes, volumes and scale: digest and runtime are of an uploaded bundle"`
	Build     *model.BuildSpec       `json:"build,omitempty" doc:"in place of image: it is built of an uploaded source"`
	Static    *model.Static          `json:"static,omitempty" doc:"with build, of a site: how it is served"`
	Revision  *model.Revision        `json:"revision,omitempty" doc:"where the code comes from"`
	Processes []model.Process        `json:"processes,omitempty" doc:"absent: one web process as the image says"`
	Volumes   []model.Mount          `json:"volumes,omitempty"`
	Variables map[string]string      `json:"variables,omitempty" doc:"from the app's own file: one set by itself before is not replaced"`
	Required  []string               `json:"required,omitempty" doc:"variables that must have a value"`
	Secrets   []string               `json:"secrets,omitempty" doc:"variables that are write-only"`
	Domains   []string               `json:"domains,omitempty" doc:"added where they are missing; none is removed"`
	Jobs      *[]model.JobSpec       `json:"jobs,omitempty" doc:"of the app's own file; absent: those of the release before"`
	Scale     map[string]model.Scale `json:"scale,omitempty" doc:"by process"`
	Project   string                 `json:"project,omitempty" doc:"counts when the app is made; default: the app's name"`
	Kind      model.AppKind          `json:"kind,omitempty" enum:"web,worker,static,function" doc:"counts when the app is made; default: web"`
	Message   string                 `json:"message,omitempty" maxLength:"500"`

	IdempotencyKey string `json:"-"` // sent as the header of that name; the client makes one where it is ""
}

// DeployOptions go with a restart.
type DeployOptions struct {
	Message string `json:"message,omitempty" maxLength:"500"`

	IdempotencyKey string `json:"-"` // sent as the header of that name; the client makes one where it is ""
}

// Rollback chooses the release to go back to.
type Rollback struct {
	Release int    `json:"release,omitempty" minimum:"0" doc:"its number; 0 or absent: the newest good one before the one wanted now"`
	Message string `json:"message,omitempty" maxLength:"500"`

	IdempotencyKey string `json:"-"` // sent as the header of that name; the client makes one where it is ""
}

// Release is a release and what it is now.
type Release struct {
	model.Release
	Wanted  bool `json:"wanted" doc:"it should serve"`
	Serving bool `json:"serving" doc:"requests reach it"`
	Good    bool `json:"good" doc:"it was healthy once, so it can be rolled back to"`
}

// Scaling sets the scale of the processes it names; what a scale leaves out stays as it is.
type Scaling struct {
	Processes map[string]model.Scale `json:"processes"`
}
