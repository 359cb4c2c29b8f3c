package control

import "github.com/pandabox/pandabox/pkg/model"

// EnvProduction is the environment meant where none is named.
const EnvProduction = "production"

// Ref names a workload as people do. App "" names no app and is refused where one is needed.
type Ref struct {
	Org string // "" means model.DefaultOrg
	App string
	Env string // "" means production
}

// String returns "shop in production", as messages and audit events say it.
func (r Ref) String() string { return r.App + " in " + r.env() }

func (r Ref) env() string {
	if r.Env == "" {
		return EnvProduction
	}
	return r.Env
}

// check refuses names that nothing could be given.
func (r Ref) check() error {
	if r.App == "" {
		return model.Invalid("no app is named").WithHint("name it with -a APP")
	}
	if err := model.CheckName("app", r.App); err != nil {
		return err
	}
	return model.CheckName("environment", r.env())
}
