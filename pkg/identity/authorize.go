package identity

import "github.com/pandabox/pandabox/pkg/model"

// scope says what the orgID given to Authorize means for a permission.
type scope int

const (
	inOrg    scope = iota // a thing of the org: the actor's role in that org counts
	onBox                 // the box itself: orgID is the default org's, whose owners own the box
	anywhere              // the greatest role in any org counts
	rootOnly              // no role is enough
)

// rule is one row of the table: the least role that has a permission, and where the role is looked up.
type rule struct {
	least model.RoleName
	scope scope
}

// ruleOf is the whole table. A permission that is not in it is nobody's.
func ruleOf(p Permission) (rule, bool) {
	switch p {
	case AppRead, AppScale, DeployCreate, VariableRead, VariableWrite, DomainWrite, LogRead, Exec,
		FunctionInvoke, KVRead, KVWrite, JobWrite, JobRun:
		return rule{model.RoleMember, inOrg}, true
	case AppDestroy, DeployApprove, EnvironmentProtect, RepositoryManage, HookManage, CertificateWrite, TokenRead, TokenManage, AuditRead:
		return rule{model.RoleAdmin, inOrg}, true
	case OwnerManage:
		return rule{model.RoleOwner, inOrg}, true
	case BoxRead:
		return rule{model.RoleMember, anywhere}, true
	case BoxInspect, BuildPrune, BuildBases:
		return rule{model.RoleAdmin, onBox}, true
	case BoxBackup, BoxRotate:
		return rule{model.RoleOwner, onBox}, true
	case BoxClaim:
		return rule{scope: rootOnly}, true
	}
	return rule{}, false
}

// rank orders the roles; an unknown role ranks with nobody.
func rank(r model.RoleName) int {
	switch r {
	case model.RoleMember:
		return 1
	case model.RoleAdmin:
		return 2
	case model.RoleOwner:
		return 3
	}
	return 0
}

// AtLeast tells whether role a includes role b. An unknown role includes nothing and is included in nothing.
func AtLeast(a, b model.RoleName) bool { return rank(b) > 0 && rank(a) >= rank(b) }

// Authorize answers whether actor has permission p on things of the org orgID; for permissions on the box itself orgID
// is the default org's. It denies whatever its table does not allow. The error is a *model.Error: KindUnauthenticated
// for nobody, KindNotFound for an org the actor has no role in (so that its existence is not told), KindForbidden
// otherwise.
func Authorize(actor model.Actor, p Permission, orgID string) error {
	r, known := ruleOf(p)
	if !known {
		return forbidden(p, "nobody has it")
	}
	if actor.Root {
		return nil
	}
	if actor.ID == "" {
		return model.Errorf(model.KindUnauthenticated, "nobody is signed in").WithHint("pandabox login URL")
	}
	switch r.scope {
	case rootOnly:
		return forbidden(p, "only root on the box itself has it")
	case anywhere:
		for _, role := range actor.Roles {
			if AtLeast(role, r.least) {
				return nil
			}
		}
		return forbidden(p, "you have no role on this box")
	}
	role := actor.Roles[orgID]
	switch {
	case orgID != "" && AtLeast(role, r.least):
		return nil
	case r.scope == inOrg && rank(role) == 0:
		return model.NotFound("there is no such org, or you are not in it").WithHint("pandabox login with a token of that org")
	case rank(role) == 0:
		return forbidden(p, "it needs the role %s in the org that owns this box", r.least)
	}
	return forbidden(p, "your role is %s, it needs %s", role, r.least)
}

func forbidden(p Permission, why string, args ...any) error {
	return model.Errorf(model.KindForbidden, "you may not do this (%s)", p).WithWhy(why, args...).
		WithHint("ask an owner of the org for a token with a greater role")
}
