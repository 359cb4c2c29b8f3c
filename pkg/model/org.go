package model

import "time"

// DefaultOrg is the name of the org that claiming a box makes.
const DefaultOrg = "default"

// Org is the access boundary: it owns projects and has members.
type Org struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"` // unique on the box
	CreatedAt time.Time `json:"createdAt"`
}

// Project is what one team ships together.
type Project struct {
	ID        string    `json:"id"`
	OrgID     string    `json:"orgId"`
	Name      string    `json:"name"` // unique in the org; an app deployed without one gets a project of its own name
	CreatedAt time.Time `json:"createdAt"`
}

// EnvironmentKind is what an environment is for.
type EnvironmentKind string

// The kinds of environment.
const (
	EnvProduction  EnvironmentKind = "production"
	EnvStaging     EnvironmentKind = "staging"
	EnvDevelopment EnvironmentKind = "development"
	EnvPreview     EnvironmentKind = "preview"
)

// Environment is a place a project's apps run: they share a private network and see each other as APP.internal.
type Environment struct {
	ID        string          `json:"id"`
	OrgID     string          `json:"orgId"`
	ProjectID string          `json:"projectId"`
	Name      string          `json:"name"` // unique in the project: production, staging, development, or a preview's name
	Kind      EnvironmentKind `json:"kind"`
	Protected bool            `json:"protected,omitempty"`
	Preview   *Preview        `json:"preview,omitempty"` // of kind preview
	CreatedAt time.Time       `json:"createdAt"`
}
