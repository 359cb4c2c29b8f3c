package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// withSite has a static site deployed.
func withSite(t *testing.T, scenario func(t *testing.T, w *world, s *session)) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		d := w.deploy("shop", release{static: &model.Static{SPA: true}, config: 1})
		settle(3 * time.Second)
		is := wantState(t, w, d, model.DeploySucceeded)
		var phases []string
		for _, ph := range is.Phases {
			phases = append(phases, string(ph.State)+" "+ph.Detail)
		}
		if got := strings.Join(phases, "; "); got != "building Static files; starting 12 files, 3.0 MB; draining " {
			t.Errorf("phases are %q", got)
		}
		scenario(t, w, s)
	})
}

// wantSite insists on the replica that answers.
func wantSite(t *testing.T, w *world, name string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.table["shop.test"].Backends
	if len(b) != 1 || b[0] != (model.Backend{Name: name, Static: true}) {
		t.Errorf("the route leads to %+v", b)
	}
}

func TestASiteIsAReplica(t *testing.T) {
	withSite(t, func(t *testing.T, w *world, _ *session) {
		wantUp(t, w, "shop-v1-g0-web-1")
		wantSite(t, w, "shop-v1-g0-web-1")
		if f := w.containers["shop-v1-g0-web-1"].spec.Static; f == nil || f.Digest != "sha256:built-shop-r1" || !f.SPA {
			t.Errorf("it is started as %+v", f)
		}
		if st := w.of("shop").Status; st.State != model.WorkloadRunning || st.Replicas[0].State != model.ReplicaHealthy {
			t.Errorf("status is %+v", st)
		}
		if w.pulls != 0 {
			t.Errorf("%d images were asked for", w.pulls)
		}
	})
}

func TestASiteGoesBackWithoutBuilding(t *testing.T) {
	withSite(t, func(t *testing.T, w *world, _ *session) {
		d := w.deploy("shop", release{static: &model.Static{}})
		settle(3 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantSite(t, w, "shop-v2-g0-web-1")
		d = w.deploy("shop", release{static: &model.Static{}, act: behaviour{buildErr: model.Invalid("the site has no files")}})
		settle(3 * time.Second)
		wantState(t, w, d, model.DeployRolledBack)
		wantSite(t, w, "shop-v2-g0-web-1")
		wantUp(t, w, "shop-v2-g0-web-1")
	})
}

// TestASiteThatIsGoneIsBuiltAgain is a box whose files were lost: the source of what serves is kept.
func TestASiteThatIsGoneIsBuiltAgain(t *testing.T) {
	withSite(t, func(t *testing.T, w *world, s *session) {
		s.kill()
		w.mu.Lock()
		w.missing = map[string]bool{"sha256:built-shop-r1": true}
		clear(w.containers)
		w.mu.Unlock()
		w.boot(t)
		settle(10 * time.Second)
		wantUp(t, w, "shop-v1-g0-web-1")
		wantSite(t, w, "shop-v1-g0-web-1")
		if w.builds["shop-r1"] != 2 {
			t.Errorf("it was built %d times", w.builds["shop-r1"])
		}
	})
}
