package control

import (
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestDeployOfASite(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Static files", Output: "dist"}
	n := b.source("a site")
	n.Static = &model.Static{SPA: true, Digest: "sha256:" + strings.Repeat("0", 64), Files: 7}
	d, err := b.Deploys.Create(t.Context(), root, Ref{App: "site"}, n)
	if err != nil {
		t.Fatal(err)
	}
	w := b.status("site")
	if w.App.Kind != model.KindStatic || w.Want.Static == nil || !w.Want.Static.SPA || w.Want.Static.Digest != "" || w.Want.Static.Files != 0 {
		t.Errorf("it is %s, %+v", w.App.Kind, w.Want.Static)
	}
	if len(w.Domains) != 1 || w.Domains[0].Host != "site."+base {
		t.Errorf("its domains are %v", w.Domains)
	}
	b.settle(d.WorkloadID, true)

	ref := Ref{App: "site"}
	_, scale := b.Scale.Set(t.Context(), root, ref, map[string]model.Scale{"web": {MilliCPU: 500}})
	_, exec := b.Exec.Exec(t.Context(), root, ref, "", 0, model.ExecSpec{Command: []string{"sh"}})
	_, run := b.Exec.Run(t.Context(), root, ref, model.ExecSpec{Command: []string{"sh"}})
	_, image := b.Deploys.Create(t.Context(), root, ref, NewDeploy{Image: model.Image{Ref: "docker.io/library/nginx:1"}})
	logs := b.Logs.Read(t.Context(), root, ref, model.LogQuery{}, func(model.LogLine) error { return nil })
	for what, err := range map[string]error{"prints nothing": logs, "be scaled": scale, "be entered": exec, "be run as a command": run, "become one of the kind web": image} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("of a site, %s: %v", what, err)
		}
	}
	b.deploy("shop", "1")
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop"}, n); model.KindOf(err) != model.KindConflict {
		t.Errorf("an app became a site: %v", err)
	}
}

func TestSitesThatCannotBe(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Static files", Output: "dist"}
	for says, change := range map[string]func(*NewDeploy){
		"no source":             func(n *NewDeploy) { n.Build = nil },
		"no image":              func(n *NewDeploy) { n.Function = &model.Function{} },
		"no processes":          func(n *NewDeploy) { n.Processes = []model.Process{{Name: "web"}} },
		"no scale":              func(n *NewDeploy) { n.Scale = map[string]model.Scale{"web": {MilliCPU: 500}} },
		"no volumes":            func(n *NewDeploy) { n.Volumes = []model.Mount{{Volume: "data", Path: "/data"}} },
		"which runs nothing":    func(n *NewDeploy) { n.Jobs = &[]model.JobSpec{{Name: "tidy", Schedule: "@daily", Path: "/tidy"}} },
		"not an app of the kin": func(n *NewDeploy) { n.Kind, n.Static = model.KindWeb, nil },
	} {
		n := b.source("a site")
		n.Kind, n.Static = model.KindStatic, &model.Static{}
		change(&n)
		if err := n.checkStatic(); n.Kind == model.KindStatic && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", says, err)
		}
		if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "site"}, n); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: created with %v", says, err)
		}
	}
}
