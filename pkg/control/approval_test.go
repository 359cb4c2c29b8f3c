package control

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// protected returns a box whose app shop runs in protected production, and a member.
func protectedBox(t *testing.T) (*box, model.Actor, Deploy) {
	t.Helper()
	b := newBox(t)
	d := b.deploy("shop", "1")
	b.settle(d.WorkloadID, true)
	if _, err := b.Protections.Set(t.Context(), b.member(model.RoleAdmin), Ref{App: "shop"}, true); err != nil {
		t.Fatal(err)
	}
	return b, b.member(model.RoleMember), d
}

func (b *box) ask(actor model.Actor, n NewDeploy) string {
	b.t.Helper()
	d, err := b.Deploys.Create(b.t.Context(), actor, Ref{App: "shop"}, n)
	if err != nil {
		b.t.Fatal(err)
	}
	if d.Approval == "" || d.ID != "" {
		b.t.Fatalf("it does not wait: %+v", d)
	}
	return d.Approval
}

func (b *box) approval(id string) model.Approval {
	b.t.Helper()
	l, err := b.Approvals.List(b.t.Context(), root, "", Page{})
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(l.Items, func(a model.Approval) bool { return a.ID == id })
	if i < 0 {
		b.t.Fatalf("%s is not among %+v", id, l.Items)
	}
	one, err := b.Approvals.Get(b.t.Context(), b.member(model.RoleMember), "", id)
	if err != nil || one.State != l.Items[i].State || one.Request != nil {
		b.t.Fatalf("by itself it is %+v (%v)", one, err)
	}
	_, err = b.Approvals.Get(b.t.Context(), root, "", id+"x")
	_ = told(b.t, err, model.KindNotFound)
	return l.Items[i]
}

func TestADeployWaitsForApproval(t *testing.T) {
	b, member, first := protectedBox(t)
	b.engine.plan = model.BuildPlan{Name: "Go 1.26", Dockerfile: "FROM scratch"}
	n := b.source("two")
	n.Variables = map[string]string{"LEVEL": "high"}
	id := b.ask(member, n)
	a := b.approval(id)
	if a.State != model.ApprovalWaiting || a.AskedBy != "member" || a.What != "1a2b3c4 Sell more" || a.Source != n.Build.Source || a.Request != nil {
		t.Errorf("it waits as %+v", a)
	}
	if s := b.status("shop"); s.Deploy != nil || s.Workload.LastRelease != 1 {
		t.Errorf("something was deployed: %+v", s)
	}
	if keep, err := b.store.Keep(t.Context()); err != nil || !slices.Contains(keep.Sources, n.Build.Source) {
		t.Errorf("its source is not kept: %+v, %v", keep, err)
	}
	if _, err := b.Approvals.Approve(t.Context(), member, "", id); model.KindOf(err) != model.KindForbidden {
		t.Errorf("a member approves his own: %v", err)
	}
	admin := b.member(model.RoleAdmin)
	var wg sync.WaitGroup
	made := make(chan Deploy, 8)
	for range 8 {
		wg.Go(func() {
			if d, err := b.Approvals.Approve(t.Context(), admin, "", id); err == nil {
				made <- d
			} else if model.KindOf(err) != model.KindConflict {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(made) != 1 {
		t.Fatalf("it was deployed %d times", len(made))
	}
	d := <-made
	if d.WorkloadID != first.WorkloadID || d.Actor != "member" || d.Release != 2 {
		t.Errorf("the deploy is %+v", d)
	}
	if a := b.approval(id); a.State != model.ApprovalApproved || a.EndedBy != "admin" || a.DeployID != d.ID {
		t.Errorf("it is over as %+v", a)
	}
	if one := b.build("shop"); one.Plan != "Go 1.26" || one.DeployID != d.ID {
		t.Errorf("its build is %+v", one)
	}
	if actions := strings.Join(b.actions()[:4], " "); !strings.Contains(actions, "approval.approve") || !strings.Contains(strings.Join(b.actions(), " "), "approval.ask") {
		t.Errorf("the audit says %s", actions)
	}
}

func TestWaitingEnds(t *testing.T) {
	b, member, _ := protectedBox(t)
	refused := b.ask(member, NewDeploy{Image: image("2")})
	if a, err := b.Approvals.Refuse(t.Context(), root, "", refused); err != nil || a.State != model.ApprovalRefused || a.Request != nil {
		t.Errorf("%+v, %v", a, err)
	}
	older := b.ask(member, NewDeploy{Image: image("3")})
	newer := b.ask(member, NewDeploy{Image: image("4")})
	if a := b.approval(older); a.State != model.ApprovalSuperseded {
		t.Errorf("the older is %s", a.State)
	}
	b.deploy("shop", "5") // by root, at once
	if a := b.approval(newer); a.State != model.ApprovalSuperseded {
		t.Errorf("what waited when an admin deployed is %s", a.State)
	}
	late := b.ask(member, NewDeploy{Image: image("6")})
	b.pass(model.ApprovalPeriod + time.Second)
	if a := b.approval(late); a.State != model.ApprovalExpired {
		t.Errorf("after its time it is %s", a.State)
	}
	for _, id := range []string{refused, older, newer, late} {
		if _, err := b.Approvals.Approve(t.Context(), root, "", id); model.KindOf(err) != model.KindConflict {
			t.Errorf("approving %s: %v", b.approval(id).State, err)
		}
	}
	if _, err := b.Approvals.Approve(t.Context(), root, "", "approval-x"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("what is not there: %v", err)
	}
	if _, err := b.Approvals.Approve(t.Context(), b.org("other", model.RoleOwner), "other", late); model.KindOf(err) != model.KindNotFound {
		t.Errorf("of another org: %v", err)
	}
}

func TestAProtectedEnvironmentIsNotChangedByMembers(t *testing.T) {
	b, member, _ := protectedBox(t)
	ref := Ref{App: "shop"}
	under := b.deploy("shop", "2")
	for name, change := range map[string]func() error{
		"a variable": func() error {
			_, err := b.Variables.Set(t.Context(), member, ref, VariableChange{Set: map[string]string{"A": "1"}})
			return err
		},
		"a domain":    func() error { _, err := b.Domains.Add(t.Context(), member, ref, "shop.example.com", ""); return err },
		"a restart":   func() error { _, err := b.Deploys.Restart(t.Context(), member, ref, DeployOptions{}); return err },
		"a roll-back": func() error { _, err := b.Deploys.Rollback(t.Context(), member, ref, 1, DeployOptions{}); return err },
		"tracking": func() error {
			_, err := b.Trackings.Set(t.Context(), member, ref, model.Tracking{Branch: "evil"})
			return err
		},
		"a cancel":  func() error { _, err := b.Deploys.Cancel(t.Context(), member, Ref{}, under.ID); return err },
		"a run":     func() error { _, err := b.Jobs.Run(t.Context(), member, ref, "nightly"); return err },
		"unprotect": func() error { _, err := b.Protections.Set(t.Context(), member, ref, false); return err },
	} {
		if err := change(); model.KindOf(err) != model.KindForbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Variables.Set(t.Context(), member, Ref{App: "shop", Env: "staging"}, VariableChange{Set: map[string]string{"A": "1"}}); err != nil {
		t.Errorf("staging is not protected: %v", err)
	}
	// A new app of the same project waits too.
	d, err := b.Deploys.Create(t.Context(), member, Ref{App: "worker"}, NewDeploy{Image: image("1"), Project: "shop"})
	if err != nil || d.Approval == "" {
		t.Errorf("a new app in protected production: %+v, %v", d, err)
	}
	if _, err := b.Protections.Set(t.Context(), root, ref, false); err != nil {
		t.Fatal(err)
	}
	if d, err := b.Deploys.Create(t.Context(), member, ref, NewDeploy{Image: image("2")}); err != nil || d.ID == "" {
		t.Errorf("unprotected: %+v, %v", d, err)
	}
}

// An app without a release yet is moved to the project of the one it is on; what protects it does not stay behind.
func TestAFunctionLeavesNoProtectedEnvironment(t *testing.T) {
	b, member, _ := protectedBox(t)
	cart := Ref{App: "cart"}
	level := VariableChange{Set: map[string]string{"LEVEL": "1"}}
	if _, err := b.Variables.Set(t.Context(), root, cart, level); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Protections.Set(t.Context(), root, cart, true); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "open", Env: "staging"}, NewDeploy{Image: image("1")}); err != nil {
		t.Fatal(err)
	}
	f := b.function("code", model.Function{On: "open", Routes: []string{"/cart"}})
	_, err := b.Deploys.Create(t.Context(), member, Ref{App: "cart", Env: "staging"}, NewDeploy{Function: f})
	wantKind(t, err, model.KindConflict)
	_, err = b.Variables.Set(t.Context(), member, cart, level)
	wantKind(t, err, model.KindForbidden)
}

func TestANameUnderAProtectedWildcard(t *testing.T) {
	b, member, _ := protectedBox(t)
	if _, err := b.Domains.Add(t.Context(), root, Ref{App: "shop"}, "*.example.com", ""); err != nil {
		t.Fatal(err)
	}
	mine := Ref{App: "mine", Env: "staging"}
	if _, err := b.Deploys.Create(t.Context(), member, mine, NewDeploy{Image: image("1")}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Domains.Add(t.Context(), member, mine, "login.example.com", "")
	wantKind(t, err, model.KindForbidden)
	if _, err := b.Domains.Add(t.Context(), root, mine, "login.example.com", ""); err != nil {
		t.Error(err)
	}
}

func TestAFunctionOnAProtectedAppWaits(t *testing.T) {
	b, member, _ := protectedBox(t)
	f := model.Function{On: "shop", Routes: []string{"/pay"}}
	ask := func(app string) {
		t.Helper()
		d, err := b.Deploys.Create(t.Context(), member, Ref{App: app}, NewDeploy{Function: b.function("code", f)})
		if err != nil || d.Approval == "" || d.ID != "" {
			t.Fatalf("%s, which takes requests of production, does not wait: %+v (%v)", app, d, err)
		}
		if d, err = b.Approvals.Approve(t.Context(), b.member(model.RoleAdmin), "", d.Approval); err != nil || d.ID == "" {
			t.Errorf("approved it is %+v (%v)", d, err)
		}
	}
	ask("pay")
	f.Routes = []string{"/cart"}
	if _, err := b.Variables.Set(t.Context(), member, Ref{App: "cart"}, VariableChange{Set: map[string]string{"LEVEL": "1"}}); err != nil {
		t.Fatal(err) // makes an app in a project of its own, which the deploy moves to that of shop
	}
	ask("cart")
}
