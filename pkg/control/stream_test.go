package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

var errEnough = errors.New("enough")

// collect reads n events of the org behind after.
func (b *box) collect(actor model.Actor, org string, after uint64, n int) []model.Event {
	b.t.Helper()
	var out []model.Event
	err := b.Events.Stream(b.t.Context(), actor, org, after, func(e model.Event) error {
		if out = append(out, e); len(out) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		b.t.Fatal(err)
	}
	return out
}

func TestEventsAsTheyHappen(t *testing.T) {
	b := newBox(t)
	stranger := b.org("other", model.RoleMember)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan model.Event, 1000)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Events.Stream(ctx, stranger, "other", NoHistory, func(e model.Event) error { got <- e; return nil })
	}()
	var mine []string
	for i := range 30 {
		d := b.deploy("shop", fmt.Sprint(i))
		b.settle(d.WorkloadID, true)
		theirs, err := b.Deploys.Create(t.Context(), stranger, Ref{Org: "other", App: "app"}, NewDeploy{Image: image("1")})
		if err != nil {
			t.Fatal(err)
		}
		mine = append(mine, theirs.ID)
	}
	last := uint64(0)
	for len(mine) > 0 {
		e := <-got
		if e.Seq <= last {
			t.Fatalf("event %d after %d", e.Seq, last)
		}
		last = e.Seq
		if e.Kind == "deploy" && e.State == string(model.DeployPending) {
			if e.DeployID != mine[0] {
				t.Fatalf("event of %s, want %s", e.DeployID, mine[0])
			}
			mine = mine[1:]
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// History, and on from where one was.
	all := b.collect(root, "", 0, 20)
	if rest := b.collect(root, "", all[9].Seq, 10); rest[0] != all[10] || rest[9] != all[19] {
		t.Error("going on gave other events")
	}
	if all[0].Kind != "app" || all[0].State != "created" || all[1].Kind != "deploy" || all[2].State != string(model.DeploySucceeded) {
		t.Errorf("the first events are %+v", all[:4])
	}
}

func TestEventsTellOfAGap(t *testing.T) {
	b := newBox(t)
	org := b.defaultOrg()
	err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		for range store.MaxEvents + 10 {
			if err := tx.Emit(model.Event{Kind: "app", OrgID: org}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := b.collect(root, "", 5, 2)
	if got[0].Kind != "gap" || got[0].Seq != 10 || got[1].Seq != 11 {
		t.Errorf("got %+v", got)
	}
	if got := b.collect(root, "", 0, 1); got[0].Kind == "gap" || got[0].Seq != 11 {
		t.Errorf("got %+v", got)
	}
}

func TestExec(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	d, err := b.Deploys.Create(t.Context(), root, ref, NewDeploy{Image: image("1"), Variables: map[string]string{"A": "1", "PORT": "1"}, Volumes: []model.Mount{{Volume: "data", Path: "/data"}},
		Processes: []model.Process{{Name: "web", Port: 3000, Scale: model.Scale{Memory: 64 << 20}}, {Name: "worker"}}})
	if err != nil {
		t.Fatal(err)
	}
	sh := model.ExecSpec{Command: []string{"/bin/sh", "-c", "echo pw123"}}
	_, err = b.Exec.Run(t.Context(), root, ref, sh)
	wantKind(t, err, model.KindConflict) // the image is not there yet
	_, err = b.Exec.Exec(t.Context(), root, ref, "", 0, sh)
	wantKind(t, err, model.KindConflict)
	b.settle(d.WorkloadID, true)
	r := func(name, process string, index int, s model.ReplicaState) model.ReplicaStatus {
		return model.ReplicaStatus{Name: name, Replica: model.Replica{Process: process, Index: index, Release: 1}, State: s}
	}
	st := model.WorkloadStatus{State: model.WorkloadRunning, Replicas: []model.ReplicaStatus{
		r("worker-1", "worker", 1, model.ReplicaHealthy), r("web-1", "web", 1, model.ReplicaStarting), r("web-2", "web", 2, model.ReplicaHealthy),
		r("web-3", "web", 3, model.ReplicaBackoff), r("web-4", "web", 4, model.ReplicaDraining),
	}}
	if err := b.store.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: d.WorkloadID, Status: &st}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		process string
		index   int
		want    string
	}{{"", 0, "web-2"}, {"web", 1, "web-1"}, {"worker", 0, "worker-1"}, {"web", 3, ""}, {"web", 4, ""}, {"cron", 0, ""}} {
		b.parts.execs = nil
		exit, err := b.Exec.Exec(t.Context(), root, ref, c.process, c.index, sh)
		if c.want == "" {
			wantKind(t, err, model.KindConflict)
		} else if err != nil || exit != 7 || !strings.HasPrefix(b.parts.execs[0], c.want+" /bin/sh") {
			t.Errorf("%s.%d: %q, %v", c.process, c.index, b.parts.execs, err)
		}
	}
	_, err = b.Exec.Exec(t.Context(), root, ref, "", 0, model.ExecSpec{})
	wantKind(t, err, model.KindInvalid)

	for range 2 {
		if exit, err := b.Exec.Run(t.Context(), root, ref, sh); err != nil || exit != 3 {
			t.Fatal(exit, err)
		}
	}
	c := b.parts.ran[0]
	if c.Name == b.parts.ran[1].Name || c.Replica.Role != model.RoleOneOff || !strings.HasPrefix(c.Image, "sha256:") || c.Limits.Memory != 64<<20 ||
		len(c.Mounts) != 1 || !slices.Equal(c.Command, sh.Command) {
		t.Errorf("ran %+v", c)
	}
	want := []string{"A=1", "PORT=1", "PORT=3000", "PANDABOX_APP=shop", "PANDABOX_ENV=production", "PANDABOX_RELEASE=v1", "PANDABOX_PROCESS=run", "PANDABOX_REPLICA=1", "PANDABOX_URL=https://shop." + base}
	if !slices.Equal(c.Env, want) {
		t.Errorf("ran with %q", c.Env)
	}
	l, err := b.Audit.List(t.Context(), root, "", Page{})
	if err != nil || l.Items[0].Action != "run" || strings.Contains(jsonText(t, l), "pw123") {
		t.Errorf("the audit has %s, %v", jsonText(t, l), err)
	}
}

func TestLogsAndImages(t *testing.T) {
	b := newBox(t)
	d := b.deploy("shop", "1")
	var text string
	err := b.Logs.Read(t.Context(), root, Ref{App: "shop"}, model.LogQuery{WorkloadID: "w-of-another", Process: "web"}, func(l model.LogLine) error {
		text = l.Text
		return nil
	})
	if err != nil || text != d.WorkloadID+" web" {
		t.Errorf("%q, %v", text, err)
	}
	img, err := b.Images.Import(t.Context(), root, "", strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	up, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop"}, NewDeploy{Image: img})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Releases.Get(t.Context(), root, Ref{App: "shop"}, up.Release)
	if err != nil || r.Image.Digest != img.Digest || r.Description != "Deploy image 000000000000" || !r.Wanted || r.Good || r.Serving {
		t.Errorf("%+v, %v", r, err)
	}
	cfg := b.config()
	cfg.Images, cfg.Logs, cfg.Runner = nil, nil, nil
	bare, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bare.Images.Import(t.Context(), root, "", strings.NewReader(""))
	wantKind(t, err, model.KindUnavailable)
	wantKind(t, bare.Logs.Read(t.Context(), root, Ref{App: "shop"}, model.LogQuery{}, nil), model.KindUnavailable)
}

func TestPages(t *testing.T) {
	b := newBox(t)
	for _, name := range []string{"a", "a-b", "b", "ab", "c"} {
		b.deploy(name, "1")
		if _, err := b.Deploys.Create(t.Context(), root, Ref{App: name, Env: "qa"}, NewDeploy{Image: image("1")}); err != nil {
			t.Fatal(err)
		}
	}
	var apps, places []string
	for p := (Page{Limit: 2}); ; {
		l, err := b.Apps.List(t.Context(), root, "", p)
		if err != nil || len(l.Items) > 2 {
			t.Fatal(err)
		}
		for _, a := range l.Items {
			apps = append(apps, a.Name)
			if len(a.Workloads) != 2 || a.Workloads[0].Env.Name != "production" || a.Project != a.Name {
				t.Errorf("%+v", a)
			}
		}
		if p.After = l.Next; p.After == "" {
			break
		}
	}
	for p := (Page{Limit: 3}); ; {
		l, err := b.Workloads.List(t.Context(), root, "", p)
		if err != nil || len(l.Items) > 3 {
			t.Fatal(err)
		}
		for _, w := range l.Items {
			places = append(places, w.App.Name+"/"+w.Env.Name)
		}
		if p.After = l.Next; p.After == "" {
			break
		}
	}
	if !slices.Equal(apps, []string{"a", "a-b", "ab", "b", "c"}) || len(places) != 10 || places[0] != "a/production" || places[3] != "a-b/qa" {
		t.Errorf("%q, %q", apps, places)
	}
	for _, p := range []Page{{Limit: -1}, {Limit: MaxPageLimit + 1}, {After: "not base64!"}} {
		_, err := b.Apps.List(t.Context(), root, "", p)
		wantKind(t, err, model.KindInvalid)
	}
	if l, err := b.Apps.List(t.Context(), root, "", Page{After: "enp6"}); err != nil || len(l.Items) != 0 || l.Items == nil {
		t.Errorf("behind the end: %+v, %v", l, err)
	}
}
