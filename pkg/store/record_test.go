package store

import (
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// deploying puts a second release and its deploy on a seeded workload.
func deploying(t *testing.T, s *Store, id, deployID string, release int) model.Target {
	t.Helper()
	target := model.Target{ReleaseID: "release-" + deployID, Generation: 1}
	update(t, s, func(tx *Tx) error {
		w, err := tx.Workload(id)
		if err != nil {
			return err
		}
		if err := tx.PutRelease(model.Release{ID: target.ReleaseID, WorkloadID: id, Number: release, Image: model.Image{Ref: "shop:2"}}); err != nil {
			return err
		}
		d := model.Deploy{ID: deployID, OrgID: "org-1", WorkloadID: id, Kind: model.DeployRelease, Target: target, From: w.Good, State: model.DeployPending, Actor: "ann", CreatedAt: testTime}
		if err := tx.PutDeploy(d); err != nil {
			return err
		}
		w.Want, w.DeployID, w.LastRelease = target, deployID, release
		return tx.PutWorkload(w)
	})
	return target
}

func record(t *testing.T, s *Store, u model.WorkloadUpdate) {
	t.Helper()
	if err := s.Record(t.Context(), []model.WorkloadUpdate{u}); err != nil {
		t.Fatal(err)
	}
}

func TestRecordADeployToItsEnd(t *testing.T) {
	s, ids := seeded(t, 1)
	id := ids[0]
	target := deploying(t, s, id, "deploy-2", 2)
	image := &model.Image{Ref: "ignored", Digest: "sha256:22", Config: &model.ImageConfig{Ports: []int{3000}}}
	record(t, s, model.WorkloadUpdate{
		WorkloadID: id, ReleaseID: target.ReleaseID, Image: image,
		Deploy: &model.Deploy{ID: "deploy-2", State: model.DeployStarting, Actor: "somebody else", Phases: []model.Phase{{State: model.DeployStarting, Detail: "web 0 of 1", Began: testTime}}},
	})
	d := view1(t, s, func(tx *Tx) (model.DesiredWorkload, error) { return tx.Desired(id) })
	if d.Want.Image.Ref != "shop:2" || d.Want.Image.Digest != "sha256:22" || d.Want.Image.Config.Ports[0] != 3000 {
		t.Errorf("the image is %+v", d.Want.Image)
	}
	if d.Deploy.State != model.DeployStarting || d.Deploy.Actor != "ann" || len(d.Deploy.Phases) != 1 {
		t.Errorf("the deploy is %+v", d.Deploy)
	}
	record(t, s, model.WorkloadUpdate{ // resolved once: another answer of the registry changes nothing
		WorkloadID: id, ReleaseID: target.ReleaseID, Image: &model.Image{Digest: "sha256:33", Config: &model.ImageConfig{}},
	})
	done := &model.Deploy{ID: "deploy-2", State: model.DeploySucceeded, Phases: d.Deploy.Phases}
	record(t, s, model.WorkloadUpdate{WorkloadID: id, Deploy: done, Good: &target, Settled: "deploy-2",
		Status: &model.WorkloadStatus{State: model.WorkloadRunning, Serving: target, UpdatedAt: testTime}})
	d = view1(t, s, func(tx *Tx) (model.DesiredWorkload, error) { return tx.Desired(id) })
	if d.Workload.Good != target || d.Workload.DeployID != "" || d.Deploy != nil || d.Good != d.Want {
		t.Errorf("the workload is %+v", d.Workload)
	}
	if d.Want.Image.Digest != "sha256:22" || d.Want.GoodAt.IsZero() || d.Status.Serving != target || d.Status.WorkloadID != id {
		t.Errorf("release %+v, status %+v", d.Want, d.Status)
	}
	ended := view1(t, s, func(tx *Tx) (model.Deploy, error) { return tx.Deploy("deploy-2") })
	if ended.State != model.DeploySucceeded || ended.FinishedAt.IsZero() {
		t.Errorf("the deploy is %+v", ended)
	}
	record(t, s, model.WorkloadUpdate{WorkloadID: id, Deploy: &model.Deploy{ID: "deploy-2", State: model.DeployFailed}})
	if again := view1(t, s, func(tx *Tx) (model.Deploy, error) { return tx.Deploy("deploy-2") }); again.State != model.DeploySucceeded {
		t.Error("a final deploy was changed")
	}
	var states []string
	for _, e := range allEvents(t, s) {
		states = append(states, e.Kind+" "+e.State)
	}
	want := []string{"deploy starting", "deploy succeeded"}
	if len(states) != 2 || states[0] != want[0] || states[1] != want[1] {
		t.Errorf("events are %q, want %q", states, want)
	}
}

func allEvents(t *testing.T, s *Store) []model.Event {
	t.Helper()
	return view1(t, s, func(tx *Tx) ([]model.Event, error) {
		out, _, _, err := tx.Events(0, MaxEvents, func(*model.Event) bool { return true })
		return out, err
	})
}

func TestRecordRollsBackUnlessANewerDeployCame(t *testing.T) {
	for name, newer := range map[string]bool{"alone": false, "with a newer deploy": true} {
		t.Run(name, func(t *testing.T) {
			s, ids := seeded(t, 1)
			id := ids[0]
			good := view1(t, s, func(tx *Tx) (model.Workload, error) { return tx.Workload(id) }).Good
			deploying(t, s, id, "deploy-2", 2)
			want, deploy, state := good, "", model.DeployRolledBack
			if newer {
				update(t, s, func(tx *Tx) error {
					return tx.PutDeploy(model.Deploy{ID: "deploy-2", OrgID: "org-1", WorkloadID: id, State: model.DeploySuperseded})
				})
				want, deploy, state = deploying(t, s, id, "deploy-3", 3), "deploy-3", model.DeploySuperseded
			}
			record(t, s, model.WorkloadUpdate{WorkloadID: id, Deploy: &model.Deploy{ID: "deploy-2", State: model.DeployRolledBack}, RollBackTo: &good, Settled: "deploy-2"})
			w := view1(t, s, func(tx *Tx) (model.Workload, error) { return tx.Workload(id) })
			if w.Want != want || w.DeployID != deploy {
				t.Errorf("wants %+v by deploy %q", w.Want, w.DeployID)
			}
			if d := view1(t, s, func(tx *Tx) (model.Deploy, error) { return tx.Deploy("deploy-2") }); d.State != state {
				t.Errorf("the deploy is %s", d.State)
			}
		})
	}
}

func TestRecordKeepsThatCancelWasAsked(t *testing.T) {
	s, ids := seeded(t, 1)
	deploying(t, s, ids[0], "deploy-2", 2)
	update(t, s, func(tx *Tx) error {
		d, err := tx.Deploy("deploy-2")
		d.CancelAsked = true
		if err != nil {
			return err
		}
		return tx.PutDeploy(d)
	})
	record(t, s, model.WorkloadUpdate{WorkloadID: ids[0], Deploy: &model.Deploy{ID: "deploy-2", State: model.DeployPulling}})
	d := view1(t, s, func(tx *Tx) (model.Deploy, error) { return tx.Deploy("deploy-2") })
	if !d.CancelAsked || d.State != model.DeployPulling {
		t.Errorf("the deploy is %+v", d)
	}
}

func TestRecordPassesOverWhatIsNotThere(t *testing.T) {
	s, ids := seeded(t, 2)
	foreign := model.Target{ReleaseID: "release-" + ids[1], Generation: 1}
	before, err := s.Desired(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, u := range map[string]model.WorkloadUpdate{
		"an unknown workload":    {WorkloadID: "w-gone", Settled: "x", Removed: true, Status: &model.WorkloadStatus{}},
		"an unknown deploy":      {WorkloadID: ids[0], Deploy: &model.Deploy{ID: "deploy-gone", State: model.DeployFailed}},
		"an unknown release":     {WorkloadID: ids[0], ReleaseID: "release-gone", Image: &model.Image{Digest: "sha256:1"}},
		"an unknown good":        {WorkloadID: ids[0], Good: &model.Target{ReleaseID: "release-gone"}},
		"another's release":      {WorkloadID: ids[0], ReleaseID: foreign.ReleaseID, Image: &model.Image{Digest: "sha256:1", Config: &model.ImageConfig{}}},
		"another's good":         {WorkloadID: ids[0], Good: &foreign},
		"another deploy settled": {WorkloadID: ids[0], Settled: "deploy-gone"},
		"removed, but not to be": {WorkloadID: ids[0], Removed: true},
		"status that differs in time": {WorkloadID: ids[0], Status: func() *model.WorkloadStatus {
			st := before.Workloads[0].Status
			st.UpdatedAt = st.UpdatedAt.Add(time.Hour)
			return &st
		}()},
		"nothing":                  {WorkloadID: ids[0]},
		"a roll-back of another's": {WorkloadID: ids[0], Deploy: &model.Deploy{ID: "deploy-gone"}, RollBackTo: &foreign},
	} {
		record(t, s, u)
		after, err := s.Desired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(before, after) {
			t.Errorf("%s: something changed", name)
		}
	}
	if e := allEvents(t, s); len(e) != 0 {
		t.Errorf("events %+v", e)
	}
}

func TestRecordRemoved(t *testing.T) {
	s, ids := seeded(t, 2)
	update(t, s, func(tx *Tx) error { // a second environment of the first app, in the same project
		if err := tx.PutEnvironment(model.Environment{ID: "env-2", OrgID: "org-1", ProjectID: "project-" + ids[0], Name: "staging"}); err != nil {
			return err
		}
		if err := tx.PutWorkload(model.Workload{ID: "w-staging", OrgID: "org-1", ProjectID: "project-" + ids[0], AppID: "app-" + ids[0], EnvID: "env-2"}); err != nil {
			return err
		}
		return tx.PutDomain(model.Domain{Host: "staging.example.com", OrgID: "org-1", WorkloadID: "w-staging"})
	})
	deploying(t, s, ids[0], "deploy-2", 2)
	mark := func(id string) {
		update(t, s, func(tx *Tx) error {
			w, err := tx.Workload(id)
			w.Deleting = true
			if err != nil {
				return err
			}
			return tx.PutWorkload(w)
		})
		record(t, s, model.WorkloadUpdate{WorkloadID: id, Removed: true})
	}
	for _, id := range ids {
		update(t, s, func(tx *Tx) error {
			w, err := tx.Workload(id)
			if err != nil {
				return err
			}
			if err := tx.SetJob(w, model.JobSpec{Name: "nightly", Schedule: "@daily", Path: "/"}, model.JobAdded); err != nil {
				return err
			}
			j, err := tx.JobNamed(id, "nightly")
			if err != nil {
				return err
			}
			if _, err = tx.AddRun(&j, model.JobRun{Due: tx.Now(), State: model.RunPending}); err != nil {
				return err
			}
			return tx.PutBuild(model.Build{ID: "build-" + id, WorkloadID: id, ReleaseID: "release-" + id, State: model.BuildQueued})
		})
	}
	mark(ids[0])
	if _, err := count(t, s, "app-"+ids[0]); err != nil {
		t.Error("the app is gone while it still runs in staging")
	}
	mark("w-staging")
	left, err := count(t, s, "app-"+ids[0])
	if err == nil {
		t.Error("the empty app is still there")
	}
	// One of each is the other workload's.
	for name, n := range left {
		want := 1
		switch name {
		case "meta":
			want = 2
		case "events":
			want = 4
		case "orgs", "orgs.name", "deploys", "deploys.workload", "tokens", "tokens.hash", "tokens.org", "keys", "keys.fingerprint", "keys.org", "approvals", "approvals.org", "repositories", "repositories.app", "repositories.org", "deliveries", "deliveries.time", "deliveries.open", "hooks", "hooks.hash", "hooks.org", "githubapps", "githubapps.name", "audit", "audit.org", "idempotency", "idempotency.expiry", "blobs":
			want = 0
		}
		if n != want {
			t.Errorf("%s holds %d records, want %d", name, n, want)
		}
	}
	if d, _ := s.Desired(t.Context()); len(d.Workloads) != 1 || d.Workloads[0].Workload.ID != ids[1] {
		t.Errorf("left are %+v", d.Workloads)
	}
}

// count returns how many keys each bucket holds, and whether an app is there.
func count(t *testing.T, s *Store, appID string) (map[string]int, error) {
	t.Helper()
	out := map[string]int{}
	var err error
	_ = s.View(t.Context(), func(tx *Tx) error {
		_, err = tx.App(appID)
		c := tx.b.Cursor()
		for name, _ := c.First(); name != nil; name, _ = c.Next() {
			out[string(name)] = tx.b.Bucket(name).Stats().KeyN
		}
		return nil
	})
	return out, err
}
