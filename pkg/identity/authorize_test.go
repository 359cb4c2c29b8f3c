package identity

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	home    = "org-home"
	foreign = "org-foreign"
)

// who is every sort of actor, seen from the org home.
func who() map[string]model.Actor {
	in := func(role model.RoleName) model.Actor {
		return model.Actor{ID: "tok-1", Name: "ci", Roles: map[string]model.RoleName{home: role}}
	}
	return map[string]model.Actor{
		"root":     {ID: "root", Name: "root on this box", Root: true},
		"owner":    in(model.RoleOwner),
		"admin":    in(model.RoleAdmin),
		"member":   in(model.RoleMember),
		"stranger": {ID: "tok-2", Roles: map[string]model.RoleName{foreign: model.RoleOwner}},
		"roleless": {ID: "tok-3"},
		"odd role": in("superuser"),
		"nobody":   {},
	}
}

// TestTheWholeMatrix states who may do what once more, by hand: + yes, f forbidden, n not found, u unauthenticated.
func TestTheWholeMatrix(t *testing.T) {
	order := []string{"root", "owner", "admin", "member", "stranger", "roleless", "odd role", "nobody"}
	matrix := map[Permission]string{
		AppRead:            "++++nnnu",
		AppScale:           "++++nnnu",
		AppDestroy:         "+++fnnnu",
		DeployApprove:      "+++fnnnu",
		RepositoryManage:   "+++fnnnu",
		HookManage:         "+++fnnnu",
		EnvironmentProtect: "+++fnnnu",
		DeployCreate:       "++++nnnu",
		VariableRead:       "++++nnnu",
		VariableWrite:      "++++nnnu",
		DomainWrite:        "++++nnnu",
		CertificateWrite:   "+++fnnnu",
		LogRead:            "++++nnnu",
		FunctionInvoke:     "++++nnnu",
		KVRead:             "++++nnnu",
		KVWrite:            "++++nnnu",
		JobWrite:           "++++nnnu",
		JobRun:             "++++nnnu",
		Exec:               "++++nnnu",
		TokenRead:          "+++fnnnu",
		TokenManage:        "+++fnnnu",
		OwnerManage:        "++ffnnnu",
		AuditRead:          "+++fnnnu",
		BoxRead:            "+++++ffu",
		BoxInspect:         "+++ffffu",
		BuildPrune:         "+++ffffu",
		BuildBases:         "+++ffffu",
		BoxBackup:          "++fffffu",
		BoxRotate:          "++fffffu",
		BoxClaim:           "+ffffffu",
		"no.such":          "ffffffff",
		"":                 "ffffffff",
	}
	for _, p := range Permissions() {
		if _, ok := matrix[p]; !ok {
			t.Errorf("%s is not in the matrix", p)
		}
	}
	kinds := map[byte]model.Kind{'+': "", 'f': model.KindForbidden, 'n': model.KindNotFound, 'u': model.KindUnauthenticated}
	for p, row := range matrix {
		for i, name := range order {
			err := Authorize(who()[name], p, home)
			if got := model.KindOf(err); got != kinds[row[i]] {
				t.Errorf("%s, %q: got %q (%v), want %q", name, p, got, err, kinds[row[i]])
			}
			var e *model.Error
			if err != nil && (!errors.As(err, &e) || e.Hint == "") {
				t.Errorf("%s, %q: no hint in %v", name, p, err)
			}
		}
	}
}

func TestNoOrgIsNobodysOrg(t *testing.T) {
	for name, a := range who() {
		for _, p := range Permissions() {
			r, _ := ruleOf(p)
			if a.Root || r.scope == anywhere {
				continue
			}
			// Not even a role that somehow is under the empty id counts.
			a.Roles = map[string]model.RoleName{"": model.RoleOwner}
			if Authorize(a, p, "") == nil {
				t.Errorf("%s may %s on no org at all", name, p)
			}
		}
	}
}

func TestAtLeast(t *testing.T) {
	roles := []model.RoleName{model.RoleMember, model.RoleAdmin, model.RoleOwner}
	for i, a := range roles {
		for j, b := range roles {
			if AtLeast(a, b) != (i >= j) {
				t.Errorf("AtLeast(%s, %s) = %v", a, b, i < j)
			}
		}
		if AtLeast(a, "odd") || AtLeast("odd", a) || AtLeast("", "") {
			t.Error("an unknown role counts")
		}
	}
}

func ExampleAuthorize() {
	ci := model.Actor{ID: "tok-1", Name: "ci", Roles: map[string]model.RoleName{"org-1": model.RoleMember}}
	fmt.Println(Authorize(ci, DeployCreate, "org-1"))
	fmt.Println(Authorize(ci, AppDestroy, "org-1"))
	// Output:
	// <nil>
	// you may not do this (app.destroy): your role is member, it needs admin
}
