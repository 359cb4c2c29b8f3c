package control

import (
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestPromoteMovesTheSameDigest(t *testing.T) {
	b := newBox(t)
	staging, production := Ref{App: "shop", Env: "staging"}, Ref{App: "shop"}
	if _, err := b.Promotions.Plan(t.Context(), root, production, "staging"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("an app that is not there: %v", err)
	}
	b.settle(b.deploy("shop", "1").WorkloadID, true)
	n := NewDeploy{Image: image("2"), Processes: []model.Process{{Name: "web"}, {Name: "worker"}}, Variables: map[string]string{"LEVEL": "staging", "ONLY": "here"}}
	d, err := b.Deploys.Create(t.Context(), root, staging, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Promotions.Plan(t.Context(), root, production, "staging"); model.KindOf(err) != model.KindConflict {
		t.Errorf("what never was healthy: %v", err)
	}
	b.settle(d.WorkloadID, true)
	if _, err := b.Variables.Set(t.Context(), root, production, VariableChange{Set: map[string]string{"LEVEL": "production"}}); err != nil {
		t.Fatal(err)
	}
	p, err := b.Promotions.Plan(t.Context(), root, production, "staging")
	if err != nil {
		t.Fatal(err)
	}
	if p.Release != 1 || p.Current != 1 || strings.Join(p.Missing, " ") != "ONLY" || strings.Join(p.Changes, "; ") != "process web is new; process worker is new" || !p.Same {
		t.Errorf("the plan is %+v", p) // settle gives every image the same digest
	}
	if _, err := b.Promotions.Create(t.Context(), root, production, "staging", 7, DeployOptions{}); model.KindOf(err) != model.KindConflict {
		t.Errorf("another release than planned: %v", err)
	}
	out, err := b.Promotions.Create(t.Context(), root, production, "staging", p.Release, DeployOptions{Message: "ship it"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Releases.Get(t.Context(), root, production, out.Release)
	if err != nil || r.Image.Ref != "registry.example.com/shop:2" || r.Image.Digest != p.Digest || len(r.Processes) != 2 || r.Description != "Promote v1 of staging" {
		t.Errorf("the release is %+v (%v)", r, err)
	}
	if out.Kind != model.DeployPromote || out.Message != "ship it" {
		t.Errorf("the deploy is %+v", out)
	}
	env, err := b.Environ(t.Context(), out.WorkloadID, r.ConfigVersion)
	if err != nil || strings.Join(env, " ") != "LEVEL=production" {
		t.Errorf("its variables are %v (%v)", env, err)
	}
	if _, err := b.Promotions.Plan(t.Context(), root, production, "production"); model.KindOf(err) != model.KindInvalid {
		t.Errorf("to itself: %v", err)
	}
}

func TestAPromoteWaitsForApproval(t *testing.T) {
	b, member, _ := protectedBox(t)
	d, err := b.Deploys.Create(t.Context(), member, Ref{App: "shop", Env: "staging"}, NewDeploy{Image: image("2")})
	if err != nil {
		t.Fatal(err)
	}
	b.settle(d.WorkloadID, true)
	p, err := b.Promotions.Plan(t.Context(), member, Ref{App: "shop"}, "staging")
	if err != nil || !p.Approval {
		t.Fatalf("%+v, %v", p, err)
	}
	held, err := b.Promotions.Create(t.Context(), member, Ref{App: "shop"}, "staging", p.Release, DeployOptions{})
	if err != nil || held.Approval == "" {
		t.Fatalf("%+v, %v", held, err)
	}
	// What was asked for is what moves: staging has something newer by now.
	d, err = b.Deploys.Create(t.Context(), member, Ref{App: "shop", Env: "staging"}, NewDeploy{Image: image("3")})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := b.Approvals.Approve(t.Context(), root, "", held.Approval); err != nil || out.Kind != model.DeployPromote {
		t.Fatalf("%+v, %v", out, err)
	}
	b.settle(d.WorkloadID, true)
	held, err = b.Promotions.Create(t.Context(), member, Ref{App: "shop"}, "staging", 0, DeployOptions{})
	if err != nil || held.Approval == "" {
		t.Fatalf("%+v, %v", held, err)
	}
	if d, err = b.Deploys.Create(t.Context(), member, Ref{App: "shop", Env: "staging"}, NewDeploy{Image: image("4")}); err != nil {
		t.Fatal(err)
	}
	b.settle(d.WorkloadID, true)
	if _, err := b.Approvals.Approve(t.Context(), root, "", held.Approval); model.KindOf(err) != model.KindConflict {
		t.Errorf("another release serves staging now: %v", err)
	}
}

func TestJobsStayWhereAPreviewIsPromoted(t *testing.T) {
	b := newBox(t)
	production := Ref{App: "shop"}
	jobs := []model.JobSpec{{Name: "nightly", Schedule: "@daily", Path: "/"}}
	d, err := b.Deploys.Create(t.Context(), root, production, NewDeploy{Image: image("1"), Jobs: &jobs})
	if err != nil {
		t.Fatal(err)
	}
	b.settle(d.WorkloadID, true)
	preview := Ref{App: "shop", Env: b.preview(model.PullRequest{Number: 12})}
	if d, err = b.Deploys.Create(t.Context(), root, preview, NewDeploy{Image: image("2"), Jobs: &jobs}); err != nil {
		t.Fatal(err)
	}
	b.settle(d.WorkloadID, true)
	for _, one := range []struct {
		to   Ref
		from string
		want int
	}{{production, preview.Env, 1}, {preview, EnvProduction, 0}} {
		p, err := b.Promotions.Plan(t.Context(), root, one.to, one.from)
		if err != nil || len(p.Changes) > 0 {
			t.Errorf("the plan is %+v (%v)", p, err)
		}
		d, err := b.Promotions.Create(t.Context(), root, one.to, one.from, 0, DeployOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := b.Releases.Get(t.Context(), root, one.to, d.Release); err != nil || len(r.Jobs) != one.want {
			t.Errorf("%s has the jobs %+v (%v)", one.to, r.Jobs, err)
		}
		b.settle(d.WorkloadID, true)
	}
}
