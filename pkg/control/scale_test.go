package control

import (
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestScale(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	n := func(i int) *int { return &i }
	_, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"A": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	set := func(scale map[string]model.Scale) (Workload, error) {
		return b.Scale.Set(t.Context(), root, ref, scale)
	}
	_, err = set(map[string]model.Scale{"web": {Replicas: n(2)}})
	wantKind(t, err, model.KindConflict) // nothing is deployed
	d, err := b.Deploys.Create(t.Context(), root, ref, NewDeploy{Image: image("1"), Processes: []model.Process{
		{Name: "web", Scale: model.Scale{Memory: 64 << 20}}, {Name: "worker"}, {Name: "release", Command: []string{"migrate"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.settle(d.WorkloadID, true)

	w, err := set(map[string]model.Scale{"web": {Replicas: n(3)}, "worker": {Replicas: n(0)}})
	if err != nil || w.Deploy != nil || w.Workload.Want != d.Target || *w.Workload.Scale["web"].Replicas != 3 || *w.Workload.Scale["worker"].Replicas != 0 {
		t.Fatalf("replicas alone: %+v, %v", w.Workload, err)
	}
	before := len(b.actions())
	if _, err = set(map[string]model.Scale{"web": {Replicas: n(3), Memory: 64 << 20}}); err != nil || len(b.actions()) != before {
		t.Errorf("what is so already is a change: %v", err)
	}
	w, err = set(map[string]model.Scale{"web": {Memory: 128 << 20}})
	if err != nil || w.DeployView == nil || w.DeployView.Kind != model.DeployScale || w.Workload.Want.Generation != 2 || w.Workload.Want.ReleaseID != d.Target.ReleaseID {
		t.Fatalf("memory: %+v, %v", w.Workload, err)
	}
	if s := w.Workload.Scale["web"]; *s.Replicas != 3 || s.Memory != 128<<20 {
		t.Errorf("the scale is %+v", s)
	}
	if b.actions()[0] != "app.scale" || len(b.actions()) != before+1 {
		t.Errorf("the audit has %q", b.actions())
	}
	for name, c := range map[string]struct {
		scale map[string]model.Scale
		kind  model.Kind
	}{
		"nothing":   {nil, model.KindInvalid},
		"unknown":   {map[string]model.Scale{"web": {Replicas: n(1)}, "cron": {Replicas: n(1)}}, model.KindNotFound},
		"release":   {map[string]model.Scale{"release": {Replicas: n(1)}}, model.KindInvalid},
		"too many":  {map[string]model.Scale{"web": {Replicas: n(model.MaxReplicas + 1)}}, model.KindInvalid},
		"less":      {map[string]model.Scale{"web": {Replicas: n(-1)}}, model.KindInvalid},
		"no memory": {map[string]model.Scale{"web": {Memory: 1}}, model.KindInvalid},
	} {
		if _, err := set(c.scale); model.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := b.status("shop").Workload.Scale["web"]; *s.Replicas != 3 {
		t.Errorf("a refused change left %+v", s)
	}
}
