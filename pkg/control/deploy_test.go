package control

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func jsonText(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTheFirstDeployMakesEverything(t *testing.T) {
	b := newBox(t)
	two := 2
	d, err := b.Deploys.Create(t.Context(), b.member(model.RoleMember), Ref{App: "shop", Env: "staging"}, NewDeploy{
		Image: image("1"), Project: "store", Message: "first",
		Processes: []model.Process{{Name: "worker", Command: []string{"work"}}, {Name: "web", Port: 3000}},
		Volumes:   []model.Mount{{Volume: "data", Path: "/storage"}},
		Variables: map[string]string{"LOG_LEVEL": "info"}, Domains: []string{"Shop.Example.com."},
		Scale: map[string]model.Scale{"web": {Replicas: &two}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.State != model.DeployPending || d.Kind != model.DeployRelease || d.Release != 1 || d.App != "shop" || d.Env != "staging" ||
		d.Actor != "member" || d.Message != "first" || d.URL != "https://shop.example.com" || d.FromRelease != 0 {
		t.Errorf("the deploy is %+v", d)
	}
	w, err := b.Workloads.Status(t.Context(), root, Ref{App: "shop", Env: "staging"})
	if err != nil {
		t.Fatal(err)
	}
	if w.Project != "store" || w.Env.Kind != model.EnvStaging || w.App.Kind != model.KindWeb || w.Workload.Want != d.Target || !w.Workload.Good.IsZero() ||
		w.Workload.DeployID != d.ID || w.DeployView.ID != d.ID || w.WantNumber != 1 || w.ServeNumber != 0 || w.Status.State != model.WorkloadNew {
		t.Errorf("the workload is %+v", w)
	}
	if *w.Workload.Scale["web"].Replicas != 2 || w.Want.Processes[0].Name != "web" || w.Want.ConfigVersion != 1 || w.Want.Description != "Deploy registry.example.com/shop:1" {
		t.Errorf("the release is %+v", w.Want)
	}
	var hosts []string
	for _, one := range w.Domains {
		hosts = append(hosts, one.Host)
	}
	if !slices.Equal(hosts, []string{"shop-staging." + base, "shop.example.com"}) || !w.Domains[0].Default {
		t.Errorf("domains are %q", hosts)
	}
	if got := b.actions(); !slices.Equal(got, []string{"deploy.create", "domain.add", "workload.create", "app.create", "token.create"}) {
		t.Errorf("the audit has %q", got)
	}
}

func TestANewDeploySupersedesTheUnfinishedOne(t *testing.T) {
	b := newBox(t)
	first := b.deploy("shop", "1")
	b.settle(first.WorkloadID, true)
	second, third := b.deploy("shop", "2"), b.deploy("shop", "3")
	states := map[string]model.DeployState{}
	l, err := b.Deploys.List(t.Context(), root, Ref{App: "shop"}, Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range l.Items {
		states[d.ID] = d.State
	}
	if states[first.ID] != model.DeploySucceeded || states[second.ID] != model.DeploySuperseded || states[third.ID] != model.DeployPending {
		t.Errorf("states are %v", states)
	}
	if l.Items[0].ID != third.ID || l.Items[0].FromRelease != 1 || l.Items[1].FinishedAt.IsZero() {
		t.Errorf("the newest is %+v", l.Items[0])
	}
	if w := b.status("shop"); w.Workload.Want != third.Target || w.Workload.DeployID != third.ID || w.ServeNumber != 1 {
		t.Errorf("the workload is %+v", w.Workload)
	}
}

func TestDeploysThatAreRefused(t *testing.T) {
	b := newBox(t)
	b.deploy("taken", "1")
	ref := Ref{App: "shop"}
	many := make([]model.Process, MaxProcesses+1)
	for i := range many {
		many[i].Name = "p" + strings.Repeat("x", i)
	}
	three := 3
	digest := model.Image{Digest: "sha256:" + strings.Repeat("0", 64)}
	for name, c := range map[string]struct {
		ref  Ref
		n    NewDeploy
		kind model.Kind
		says string
	}{
		"no app":                  {Ref{}, NewDeploy{Image: digest}, model.KindInvalid, "no app is named"},
		"bad app":                 {Ref{App: "My Shop"}, NewDeploy{Image: digest}, model.KindInvalid, "my-shop"},
		"bad environment":         {Ref{App: "shop", Env: "QA!"}, NewDeploy{Image: digest}, model.KindInvalid, "environment"},
		"no org":                  {Ref{App: "shop", Org: "none"}, NewDeploy{Image: digest}, model.KindNotFound, "none"},
		"no image":                {ref, NewDeploy{}, model.KindInvalid, "no image"},
		"bad image":               {ref, NewDeploy{Image: model.Image{Ref: "UPPER CASE"}}, model.KindInvalid, "UPPER CASE"},
		"bad digest":              {ref, NewDeploy{Image: model.Image{Digest: "sha256:abc"}}, model.KindInvalid, "digest"},
		"static":                  {ref, NewDeploy{Image: digest, Kind: model.KindStatic}, model.KindInvalid, "no source of the site"},
		"function":                {ref, NewDeploy{Image: digest, Kind: model.KindFunction}, model.KindInvalid, "function"},
		"odd kind":                {ref, NewDeploy{Image: digest, Kind: "cron"}, model.KindInvalid, "cron"},
		"another kind":            {Ref{App: "taken"}, NewDeploy{Image: digest, Kind: model.KindWorker}, model.KindConflict, "worker"},
		"bad project":             {ref, NewDeploy{Image: digest, Project: "../x"}, model.KindInvalid, "project"},
		"process twice":           {ref, NewDeploy{Image: digest, Processes: []model.Process{{Name: "web"}, {Name: "web"}}}, model.KindInvalid, "twice"},
		"bad process":             {ref, NewDeploy{Image: digest, Processes: []model.Process{{Name: "Web"}}}, model.KindInvalid, "Web"},
		"many processes":          {ref, NewDeploy{Image: digest, Processes: many}, model.KindInvalid, "21 processes"},
		"bad port":                {ref, NewDeploy{Image: digest, Processes: []model.Process{{Name: "web", Port: 70000}}}, model.KindInvalid, "70000"},
		"NUL in command":          {ref, NewDeploy{Image: digest, Processes: []model.Process{{Name: "web", Command: []string{"a\x00b"}}}}, model.KindInvalid, "NUL"},
		"empty program":           {ref, NewDeploy{Image: digest, Processes: []model.Process{{Name: "web", Command: []string{""}}}}, model.KindInvalid, "empty"},
		"huge command":            {ref, NewDeploy{Image: digest, Processes: []model.Process{{Name: "web", Command: []string{strings.Repeat("x", MaxCommand)}}}}, model.KindTooLarge, "command"},
		"release process scaled":  {ref, NewDeploy{Image: digest, Processes: []model.Process{{Name: "release", Scale: model.Scale{Replicas: &three}}}}, model.KindInvalid, "not scaled"},
		"release process scaled2": {ref, NewDeploy{Image: digest, Scale: map[string]model.Scale{"release": {Replicas: &three}}}, model.KindInvalid, "not scaled"},
		"unknown process scaled":  {ref, NewDeploy{Image: digest, Scale: map[string]model.Scale{"worker": {Replicas: &three}}}, model.KindNotFound, "worker"},
		"volume on /":             {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/"}}}, model.KindInvalid, "root"},
		"volume on /proc":         {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/proc"}}}, model.KindInvalid, "/proc"},
		"volume in /sys":          {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/sys/fs"}}}, model.KindInvalid, "/sys"},
		"volume on /dev/x":        {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/dev/x"}}}, model.KindInvalid, "/dev"},
		"volume with ..":          {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/a/../etc"}}}, model.KindInvalid, ".."},
		"relative volume":         {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "data"}}}, model.KindInvalid, "begin with /"},
		"volume with :":           {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/a:ro"}}}, model.KindInvalid, "character"},
		"bad volume":              {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "../a", Path: "/a"}}}, model.KindInvalid, "volume"},
		"volume twice":            {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/a"}, {Volume: "a", Path: "/b"}}}, model.KindInvalid, "twice"},
		"path twice":              {ref, NewDeploy{Image: digest, Volumes: []model.Mount{{Volume: "a", Path: "/a"}, {Volume: "b", Path: "/a"}}}, model.KindInvalid, "/a"},
		"bad variable":            {ref, NewDeploy{Image: digest, Variables: map[string]string{"A-B": ""}}, model.KindInvalid, "A-B"},
		"own variable":            {ref, NewDeploy{Image: digest, Variables: map[string]string{"PANDABOX_APP": ""}}, model.KindInvalid, "PANDABOX_APP"},
		"required":                {ref, NewDeploy{Image: digest, Variables: map[string]string{"B": "1", "C": ""}, Required: []string{"C", "A", "B", "A"}}, model.KindInvalid, "A, C are missing"},
		"bad domain":              {ref, NewDeploy{Image: digest, Domains: []string{"http://x.example.com/"}}, model.KindInvalid, "not a domain"},
		"the box's domain":        {ref, NewDeploy{Image: digest, Domains: []string{base}}, model.KindForbidden, base},
		"another's domain":        {ref, NewDeploy{Image: digest, Domains: []string{"taken." + base}}, model.KindConflict, "taken in production"},
		"long message":            {ref, NewDeploy{Image: digest, Message: strings.Repeat("x", MaxMessage+1)}, model.KindTooLarge, "message"},
		"long key":                {ref, NewDeploy{Image: digest, IdempotencyKey: strings.Repeat("x", MaxIdempotencyKey+1)}, model.KindInvalid, "key"},
	} {
		before := b.dump()
		_, err := b.Deploys.Create(t.Context(), root, c.ref, c.n)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if e := told(t, err, c.kind); !strings.Contains(e.Error()+e.Hint, c.says) {
			t.Errorf("%s: says %v (hint %s), not %q", name, e, e.Hint, c.says)
		}
		if b.dump() != before {
			t.Errorf("%s: something was written", name)
		}
	}
}

func TestIdempotency(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	n := NewDeploy{Image: image("1"), Variables: map[string]string{"A": "1", "B": "2"}, IdempotencyKey: "key-1"}
	first, err := b.Deploys.Create(t.Context(), root, ref, n)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Deploys.Create(t.Context(), root, ref, n)
	if err != nil || again.ID != first.ID || b.status("shop").Workload.LastRelease != 1 {
		t.Fatalf("the same request made %+v, %v", again, err)
	}
	changed := n
	changed.Image = image("2")
	_, err = b.Deploys.Create(t.Context(), root, ref, changed)
	wantKind(t, err, model.KindConflict)
	_, err = b.Deploys.Create(t.Context(), root, Ref{App: "shop", Env: "staging"}, n)
	wantKind(t, err, model.KindConflict)
	if other, err := b.Deploys.Create(t.Context(), b.member(model.RoleMember), ref, n); err != nil || other.ID == first.ID {
		t.Errorf("another actor's key: %+v, %v", other, err)
	}
	failing := NewDeploy{Image: image("3"), Required: []string{"NOT_SET"}, IdempotencyKey: "key-2"}
	_, err = b.Deploys.Create(t.Context(), root, ref, failing)
	wantKind(t, err, model.KindInvalid)
	if _, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"NOT_SET": "1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Deploys.Create(t.Context(), root, ref, failing); err != nil {
		t.Errorf("a failure was remembered: %v", err)
	}
	r1, err := b.Deploys.Restart(t.Context(), root, ref, DeployOptions{IdempotencyKey: "key-1"}) // of another sort of request
	if err != nil {
		t.Fatal(err)
	}
	r2, err := b.Deploys.Restart(t.Context(), root, ref, DeployOptions{IdempotencyKey: "key-1"})
	if err != nil || r1.ID != r2.ID {
		t.Errorf("restarted twice: %v", err)
	}
	b.pass(IdempotencyPeriod)
	late, err := b.Deploys.Create(t.Context(), root, ref, n)
	if err != nil || late.ID == first.ID {
		t.Errorf("a day later: %+v, %v", late, err)
	}
	_, s1, err1 := b.Tokens.Create(t.Context(), root, "", NewToken{Name: "ci", IdempotencyKey: "t"})
	_, s2, err2 := b.Tokens.Create(t.Context(), root, "", NewToken{Name: "ci", IdempotencyKey: "t"})
	if err1 != nil || err2 != nil || s1 != s2 || s1 == "" {
		t.Errorf("tokens %q and %q, %v, %v", s1, s2, err1, err2)
	}
}

func TestRollback(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	back := func(number int) (Deploy, error) {
		return b.Deploys.Rollback(t.Context(), root, ref, number, DeployOptions{Message: "oops"})
	}
	_, err := back(0)
	wantKind(t, err, model.KindNotFound)
	id := b.deploy("shop", "1").WorkloadID
	_, err = back(0)
	wantKind(t, err, model.KindConflict)
	b.settle(id, true) // v1
	_, err = back(0)
	wantKind(t, err, model.KindConflict)
	_, err = back(1)
	wantKind(t, err, model.KindConflict)
	_, err = back(9)
	wantKind(t, err, model.KindNotFound)
	_, err = back(-1)
	wantKind(t, err, model.KindInvalid)
	b.deploy("shop", "2")
	b.settle(id, false) // v2 never was healthy
	b.deploy("shop", "3")
	b.settle(id, true) // v3
	b.deploy("shop", "4")

	d, err := back(0) // while v4 is on its way: to what serves
	if err != nil || d.Release != 3 || d.Kind != model.DeployRollback || d.Message != "oops" {
		t.Fatalf("back to v%d, %v", d.Release, err)
	}
	if d.Target.Generation != 2 {
		t.Errorf("generation %d: its containers would have the names of those that run", d.Target.Generation)
	}
	b.settle(id, true)
	d, err = back(0) // v2 was never good
	if err != nil || d.Release != 1 || d.FromRelease != 3 {
		t.Fatalf("back to v%d, %v", d.Release, err)
	}
	b.settle(id, true)
	if d, err = back(4); err != nil || d.Release != 4 { // by its number also forward, and to what was not healthy
		t.Fatalf("to v%d, %v", d.Release, err)
	}
	if w := b.status("shop"); w.Workload.LastRelease != 4 {
		t.Errorf("a roll-back made release %d", w.Workload.LastRelease)
	}
}

func TestRollbackBringsTheVariablesBack(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	id := b.deploy("shop", "1").WorkloadID
	b.settle(id, true)
	set := func(ch VariableChange) VariablesChanged {
		t.Helper()
		out, err := b.Variables.Set(t.Context(), root, ref, ch)
		if err != nil {
			t.Fatal(err)
		}
		b.settle(id, true)
		return out
	}
	set(VariableChange{Set: map[string]string{"A": "1"}})
	set(VariableChange{Set: map[string]string{"A": "2", "B": "2"}})
	d, err := b.Deploys.Rollback(t.Context(), root, ref, 0, DeployOptions{})
	if err != nil || d.Release != 2 {
		t.Fatalf("back to v%d, %v", d.Release, err)
	}
	b.settle(id, true)
	vars, err := b.Variables.List(t.Context(), root, ref)
	if err != nil || len(vars) != 1 || vars[0].Value != "1" {
		t.Fatalf("variables are %+v, %v", vars, err)
	}
	// The next change builds on them.
	out := set(VariableChange{Set: map[string]string{"C": "3"}})
	env, err := b.Environ(t.Context(), id, out.Version)
	if err != nil || !slices.Equal(env, []string{"A=1", "C=3"}) {
		t.Fatalf("%q, %v", env, err)
	}
}

func TestRestartAndCancel(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	if _, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"A": "1"}}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Deploys.Restart(t.Context(), root, ref, DeployOptions{})
	wantKind(t, err, model.KindConflict)
	first := b.deploy("shop", "1")
	b.settle(first.WorkloadID, true)
	for gen := 2; gen <= 3; gen++ {
		d, err := b.Deploys.Restart(t.Context(), root, ref, DeployOptions{})
		if err != nil || d.Target.ReleaseID != first.Target.ReleaseID || d.Target.Generation != gen {
			t.Fatalf("restarted as %+v, %v", d.Target, err)
		}
		b.settle(first.WorkloadID, gen == 2)
	}
	// The generation of a restart that failed is not used again.
	d, err := b.Deploys.Restart(t.Context(), root, ref, DeployOptions{})
	if err != nil || d.Target.Generation != 4 {
		t.Fatalf("restarted as %+v, %v", d.Target, err)
	}
	for range 2 {
		c, err := b.Deploys.Cancel(t.Context(), root, ref, d.ID)
		if err != nil || !c.CancelAsked || c.State != model.DeployPending {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if got := b.actions(); got[0] != "deploy.cancel" || got[1] != "deploy.restart" {
		t.Errorf("the audit has %q", got)
	}
	_, err = b.Deploys.Cancel(t.Context(), root, ref, first.ID)
	wantKind(t, err, model.KindConflict)
	_, err = b.Deploys.Cancel(t.Context(), root, ref, "deploy-none")
	wantKind(t, err, model.KindNotFound)
	other := b.deploy("other", "1")
	_, err = b.Deploys.Get(t.Context(), root, ref, other.ID) // of another workload than the one named
	wantKind(t, err, model.KindNotFound)
	if got, err := b.Deploys.Get(t.Context(), root, Ref{}, other.ID); err != nil || got.App != "other" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDestroy(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	d := b.deploy("shop", "1")
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop", Env: "qa"}, NewDeploy{Image: image("1")}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Apps.Destroy(t.Context(), root, ref, false); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.Deploys.Get(t.Context(), root, ref, d.ID); err != nil || got.State != model.DeployCanceled {
		t.Errorf("the deploy is %s, %v", got.State, err)
	}
	if n := strings.Count(strings.Join(b.actions(), " "), "app.destroy"); n != 1 {
		t.Errorf("%d audit events", n)
	}
	for name, err := range map[string]error{
		"deploy": func() error {
			_, err := b.Deploys.Create(t.Context(), root, ref, NewDeploy{Image: image("2")})
			return err
		}(),
		"restart": func() error { _, err := b.Deploys.Restart(t.Context(), root, ref, DeployOptions{}); return err }(),
		"variable": func() error {
			_, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"A": "1"}})
			return err
		}(),
		"domain": func() error { _, err := b.Domains.Add(t.Context(), root, ref, "x.example.com", ""); return err }(),
	} {
		if model.KindOf(err) != model.KindConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, err := b.Apps.Get(t.Context(), root, ref)
	if err != nil || len(a.Workloads) != 2 || !a.Workloads[0].Workload.Deleting || a.Workloads[1].Workload.Deleting {
		t.Fatalf("%+v, %v", a, err)
	}
	if err := b.Apps.Destroy(t.Context(), root, ref, true); err != nil {
		t.Fatal(err)
	}
	for _, w := range a.Workloads {
		if err := b.store.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: w.Workload.ID, Removed: true}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Apps.Get(t.Context(), root, ref)
	wantKind(t, err, model.KindNotFound)
	again := b.deploy("shop", "1") // afresh, with its domain
	if again.Release != 1 || again.URL != "https://shop."+base {
		t.Errorf("%+v", again)
	}
}

func TestNotFoundHelps(t *testing.T) {
	b := newBox(t)
	_, err := b.Workloads.Status(t.Context(), root, Ref{App: "shop"})
	if e := told(t, err, model.KindNotFound); !strings.Contains(e.Hint, "pandabox deploy") {
		t.Errorf("hint %q", e.Hint)
	}
	b.deploy("shop", "1")
	_, err = b.Workloads.Status(t.Context(), root, Ref{App: "shpo"})
	if e := told(t, err, model.KindNotFound); !strings.Contains(e.Hint, `did you mean "shop"`) {
		t.Errorf("hint %q", e.Hint)
	}
	_, err = b.Workloads.Status(t.Context(), root, Ref{App: "shop", Env: "qa"})
	if e := told(t, err, model.KindNotFound); !strings.Contains(e.Error(), "it runs in production") {
		t.Errorf("says %v", e)
	}
}

func TestOrderSurvivesAClockSetBack(t *testing.T) {
	b := newBox(t)
	first := b.deploy("shop", "1")
	b.stop()
	b.pass(-2 * time.Hour)
	b.start()
	second := b.deploy("shop", "2")
	l, err := b.Deploys.List(t.Context(), root, Ref{App: "shop"}, Page{})
	if err != nil || l.Items[0].ID != second.ID || l.Items[1].ID != first.ID {
		t.Errorf("%+v, %v", l.Items, err)
	}
}

func TestMessagesCannotMoveTheCursor(t *testing.T) {
	b := newBox(t)
	d, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop"}, NewDeploy{Image: image("1"), Message: "a\x1b[2J\r\n\tb \xff 👩‍💻"})
	if err != nil || d.Message != "a[2J\n\tb \uFFFD 👩‍💻" {
		t.Errorf("%q, %v", d.Message, err)
	}
}
