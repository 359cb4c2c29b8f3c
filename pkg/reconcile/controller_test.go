package reconcile

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// inWorld runs a scenario in a world with a fake clock and a daemon, and checks afterwards that no promise was broken.
func inWorld(t *testing.T, scenario func(t *testing.T, w *world, s *session)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.create("shop")
		s := w.boot(t)
		scenario(t, w, s)
		w.session.kill()
		w.whole(t)
	})
}

// settle gives the box time.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func wantState(t *testing.T, w *world, d *model.Deploy, state model.DeployState) *model.Deploy {
	t.Helper()
	is := w.deployState(d)
	if is.State != state {
		t.Fatalf("deploy %s is %s, want %s: %v; containers %v", d.ID, is.State, state, is.Error, w.up())
	}
	if state.Final() && is.FinishedAt.IsZero() {
		t.Errorf("deploy %s is %s without an end", d.ID, state)
	}
	return is
}

func wantUp(t *testing.T, w *world, names ...string) {
	t.Helper()
	if got := w.up(); !slices.Equal(got, names) {
		t.Errorf("containers are %q, want %q", got, names)
	}
}

func wantRoute(t *testing.T, w *world, state model.RouteState, backends ...string) {
	t.Helper()
	gotState, got := w.route("shop.test")
	if gotState != state || !slices.Equal(got, backends) {
		t.Errorf("route is %s %q, want %s %q", gotState, got, state, backends)
	}
}

func TestFirstDeploy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		settle(time.Second)
		d := w.deploy("shop", release{config: 1, act: behaviour{boot: 300 * time.Millisecond}})
		settle(200 * time.Millisecond)
		wantRoute(t, w, model.RouteStarting)
		if st := w.of("shop").Status.State; st != model.WorkloadStarting {
			t.Errorf("status while starting is %s", st)
		}
		settle(2 * time.Second)
		is := wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v1-g0-web-1")
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		dw := w.of("shop")
		if dw.Workload.Good != dw.Workload.Want || dw.Workload.DeployID != "" || dw.Good.Image.Digest == "" {
			t.Errorf("workload is %+v", dw.Workload)
		}
		if dw.Status.State != model.WorkloadRunning || dw.Status.Serving != dw.Workload.Good || len(dw.Status.Replicas) != 1 ||
			dw.Status.Replicas[0].State != model.ReplicaHealthy {
			t.Errorf("status is %+v", dw.Status)
		}
		var phases []string
		for _, ph := range is.Phases {
			phases = append(phases, string(ph.State)+" "+ph.Detail)
			if ph.Ended.IsZero() {
				t.Errorf("phase %s is open", ph.State)
			}
		}
		if got := strings.Join(phases, "; "); got != "pulling ; starting web ×1 healthy on /up; draining " {
			t.Errorf("phases are %q", got)
		}
		spec := w.containers["shop-v1-g0-web-1"].spec
		want := []string{"SECRET=opened", "PORT=1", "PORT=8080", "PANDABOX_PROCESS=web", "PANDABOX_REPLICA=1",
			"PANDABOX_APP=shop", "PANDABOX_ENV=production", "PANDABOX_RELEASE=v1", "PANDABOX_URL=http://shop.test"}
		if !slices.Equal(spec.Env, want) {
			t.Errorf("environment is %q", spec.Env)
		}
		if !slices.Equal(spec.Aliases, []string{"shop", "web.shop"}) {
			t.Errorf("aliases are %q", spec.Aliases)
		}
		if spec.Image != "sha256:shop-r1" || spec.Limits.Memory != model.DefaultMemory {
			t.Errorf("spec is %+v", spec)
		}
	})
}
