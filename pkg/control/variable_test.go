package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestVariables(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	set := func(ch VariableChange) VariablesChanged {
		t.Helper()
		out, err := b.Variables.Set(t.Context(), root, ref, ch)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// Before the first deploy nothing is there to deploy.
	if out := set(VariableChange{Set: map[string]string{"KEY": "s3cret", "A": "1"}, Secrets: []string{"KEY"}}); out.Version != 1 || out.Deploy != nil {
		t.Fatalf("%+v", out)
	}
	d, err := b.Deploys.Create(t.Context(), root, ref, NewDeploy{Image: image("1"), Required: []string{"KEY"}})
	if err != nil {
		t.Fatal(err)
	}
	b.settle(d.WorkloadID, true)
	if out := set(VariableChange{Set: map[string]string{"A": "1"}, Unset: []string{"NEVER"}}); out.Version != 1 || out.Deploy != nil {
		t.Errorf("what is set already made %+v", out)
	}
	before := len(b.actions())
	out := set(VariableChange{Set: map[string]string{"B": "x=y\n z", "KEY": "other"}, Unset: []string{"A"}})
	if out.Version != 2 || out.Deploy == nil || out.Deploy.Kind != model.DeployConfig || out.Deploy.Release != 2 {
		t.Fatalf("%+v", out)
	}
	if len(b.actions()) != before+1 || b.actions()[0] != "variable.set" {
		t.Errorf("the audit has %q", b.actions())
	}
	w := b.status("shop")
	if w.Want.Description != "Set B, KEY; unset A" || w.Want.Image.Digest == "" || w.Want.ConfigVersion != 2 || w.Good.ConfigVersion != 1 {
		t.Errorf("the release is %+v", w.Want)
	}
	vars, err := b.Variables.List(t.Context(), root, ref)
	if err != nil || !slices.Equal(vars, []Variable{{"B", "x=y\n z", false}, {"KEY", "", true}}) {
		t.Errorf("%+v, %v", vars, err)
	}
	for version, want := range [][]string{nil, {"A=1", "KEY=s3cret"}, {"B=x=y\n z", "KEY=other"}} {
		if env, err := b.Environ(t.Context(), d.WorkloadID, version); err != nil || !slices.Equal(env, want) {
			t.Errorf("version %d: %q, %v", version, env, err)
		}
	}
	if strings.Contains(jsonText(t, w), "s3cret") || strings.Contains(jsonText(t, out), "other") {
		t.Error("a secret is in an answer")
	}
	l, err := b.Audit.List(t.Context(), root, "", Page{})
	if err != nil || strings.Contains(jsonText(t, l), "s3cret") || strings.Contains(jsonText(t, l), "x=y") {
		t.Errorf("a value is in the audit: %v", err)
	}
}

func TestVariablesOfTheFileDoNotReplaceThoseOfPeople(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	deploy := func(vars map[string]string, secrets ...string) {
		t.Helper()
		d, err := b.Deploys.Create(t.Context(), root, ref, NewDeploy{Image: image("1"), Variables: vars, Secrets: secrets})
		if err != nil {
			t.Fatal(err)
		}
		b.settle(d.WorkloadID, true)
	}
	want := func(values ...string) {
		t.Helper()
		vars, err := b.Variables.List(t.Context(), root, ref)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range vars {
			got = append(got, v.Name+"="+v.Value)
		}
		if !slices.Equal(got, values) {
			t.Errorf("got %q, want %q", got, values)
		}
	}
	deploy(map[string]string{"LEVEL": "info", "MODE": "a"})
	version := b.status("shop").Workload.ConfigVersion
	deploy(map[string]string{"LEVEL": "info", "MODE": "a"})
	if b.status("shop").Workload.ConfigVersion != version {
		t.Error("the same file made a new version")
	}
	deploy(map[string]string{"LEVEL": "warn", "MODE": "a"}) // the file may change its own
	want("LEVEL=warn", "MODE=a")
	if _, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"LEVEL": "debug"}}); err != nil {
		t.Fatal(err)
	}
	deploy(map[string]string{"LEVEL": "info", "MODE": "b"}, "LEVEL")
	want("LEVEL=", "MODE=b") // a secret from now on
	if env, err := b.Environ(t.Context(), b.status("shop").Workload.ID, b.status("shop").Workload.ConfigVersion); err != nil || env[0] != "LEVEL=debug" {
		t.Errorf("%q, %v", env, err)
	}
}

func TestWhatTheFileCallsSecretIsSecretFromTheStart(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	d, err := b.Deploys.Create(t.Context(), root, ref, NewDeploy{Image: image("1"), Secrets: []string{"KEY"}})
	if err != nil {
		t.Fatal(err)
	}
	b.settle(d.WorkloadID, true)
	b.deploy("shop", "2") // without a file
	if _, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"KEY": "s3cret"}}); err != nil {
		t.Fatal(err)
	}
	if vars, err := b.Variables.List(t.Context(), root, ref); err != nil || !slices.Equal(vars, []Variable{{"KEY", "", true}}) {
		t.Errorf("%+v, %v", vars, err)
	}
}

func TestVariablesAfterAFailedFirstDeploy(t *testing.T) {
	b := newBox(t)
	d := b.deploy("shop", "1")
	b.settle(d.WorkloadID, false)
	out, err := b.Variables.Set(t.Context(), root, Ref{App: "shop"}, VariableChange{Set: map[string]string{"PORT": "3000"}})
	if err != nil || out.Deploy == nil || out.Deploy.Release != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
}

func TestVariablesThatAreRefused(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	many, large := map[string]string{}, map[string]string{}
	for i := range model.MaxVariables + 1 {
		many[fmt.Sprintf("V%d", i)] = ""
	}
	for i := range 17 {
		large[fmt.Sprintf("V%d", i)] = strings.Repeat("x", model.MaxVariableValue)
	}
	for name, c := range map[string]struct {
		ch   VariableChange
		kind model.Kind
	}{
		"nothing":         {VariableChange{}, model.KindInvalid},
		"bad name":        {VariableChange{Set: map[string]string{"1A": ""}}, model.KindInvalid},
		"own":             {VariableChange{Set: map[string]string{"PANDABOX_URL": ""}}, model.KindInvalid},
		"NUL":             {VariableChange{Set: map[string]string{"A": "\x00"}}, model.KindInvalid},
		"set and unset":   {VariableChange{Set: map[string]string{"A": "1"}, Unset: []string{"A"}}, model.KindInvalid},
		"secret, not set": {VariableChange{Set: map[string]string{"A": "1"}, Secrets: []string{"B"}}, model.KindInvalid},
		"large":           {VariableChange{Set: map[string]string{"A": strings.Repeat("x", model.MaxVariableValue+1)}}, model.KindTooLarge},
		"many":            {VariableChange{Set: many}, model.KindTooLarge},
		"large together":  {VariableChange{Set: large}, model.KindTooLarge},
	} {
		_, err := b.Variables.Set(t.Context(), root, ref, c.ch)
		if model.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.actions(); len(got) != 0 {
		t.Errorf("the audit has %q", got)
	}
}
