package httpapi

import (
	"fmt"
	"slices"

	"github.com/pandabox/pandabox/pkg/identity"
)

// guard is what a route asks of its caller. The zero guard is none, and refused by New.
type guard struct {
	permission identity.Permission
	public     string // why nobody has to be signed in
}

// needs lets in who has a permission.
func needs(p identity.Permission) guard { return guard{permission: p} }

// public lets in everybody. why is for whoever reads the code.
func public(why string) guard { return guard{public: why} }

func (g guard) check() error {
	switch {
	case g.permission != "" && g.public != "":
		return fmt.Errorf("it needs %s and is public", g.permission)
	case g.public != "":
		return nil
	case g.permission == "":
		return fmt.Errorf("it declares no permission")
	case !slices.Contains(identity.Permissions(), g.permission):
		return fmt.Errorf("there is no permission %q", g.permission)
	}
	return nil
}
