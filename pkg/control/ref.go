package control

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
