package httpapi

import "github.com/pandabox/pandabox/pkg/control"

// The types here are exported only because huma finds parameters in exported fields alone.

// InOrg is the part of a path that names an org.
type InOrg struct {
	Org string `path:"org" maxLength:"40" example:"default" doc:"the org's name"`
}

// InApp is the part of a path that names an app.
type InApp struct {
	InOrg
	App string `path:"app" maxLength:"40" example:"shop" doc:"the app's name"`
}

// InEnv is the part of a path that names a workload: an app in an environment.
type InEnv struct {
	InApp
	Env string `path:"env" maxLength:"40" example:"production" doc:"the environment's name"`
}

func (i InApp) ref() control.Ref { return control.Ref{Org: i.Org, App: i.App} }

func (i InEnv) ref() control.Ref { return control.Ref{Org: i.Org, App: i.App, Env: i.Env} }

// Paged asks for a part of a list.
type Paged struct {
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"at most so many"`
	After string `query:"after" maxLength:"1000" doc:"next of the page before"`
}

func (p Paged) page() control.Page { return control.Page{Limit: p.Limit, After: p.After} }

// Keyed may be repeated without doing twice what it does.
type Keyed struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"the same key with the same body gives the same answer for 24 hours"`
}
