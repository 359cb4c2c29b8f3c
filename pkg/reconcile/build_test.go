package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func phasesOf(d *model.Deploy) string {
	var out []string
	for _, ph := range d.Phases {
		out = append(out, strings.TrimSpace(string(ph.State)+" "+ph.Detail))
	}
	return strings.Join(out, "; ")
}

func TestAReleaseIsBuiltBeforeItStarts(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		d := w.deploy("shop", release{built: true, act: behaviour{buildTime: time.Hour}})
		settle(45*time.Minute + time.Second) // no limit of time but the builder's own
		is := wantState(t, w, d, model.DeployBuilding)
		if n := len(is.Phases); n != 1 || is.Phases[0].Percent != 50 || is.Phases[0].Detail != "[1/4]" {
			t.Errorf("half way it says %+v", is.Phases)
		}
		wantUp(t, w, "shop-v1-g0-web-1")
		w.create("other") // nobody waits for somebody else's build
		other := w.deploy("other", release{})
		settle(3 * time.Second)
		wantState(t, w, other, model.DeploySucceeded)
		settle(15 * time.Minute)
		is = wantState(t, w, d, model.DeploySucceeded)
		if got := phasesOf(is); got != "building Go 1.26, 1 of 4 steps cached; starting web ×1 healthy on /up; draining" {
			t.Errorf("phases are %q", got)
		}
		wantUp(t, w, "other-v1-g0-web-1", "shop-v2-g0-web-1")
		if spec := w.containers["shop-v2-g0-web-1"].spec; spec.Image != "sha256:built-shop-r2" || w.builds["shop-r2"] != 1 {
			t.Errorf("it runs %s, built %d times", spec.Image, w.builds["shop-r2"])
		}
		d = w.rollback("shop", model.Target{ReleaseID: "shop-r1", Generation: 1})
		settle(3 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		d = w.rollback("shop", model.Target{ReleaseID: "shop-r2", Generation: 1})
		settle(3 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		if w.builds["shop-r2"] != 1 {
			t.Error("going back builds again")
		}
	})
}

func TestABuildThatFailsEndsTheDeployAtOnce(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		wrong := model.Invalid("the build failed at: RUN make").WithWhy("it ended with code 2").WithHint("the log has more")
		d := w.deploy("shop", release{built: true, act: behaviour{buildErr: wrong}})
		settle(time.Second)
		is := wantState(t, w, d, model.DeployRolledBack)
		text := is.Error.Error() + "\n" + is.Error.Hint
		for _, want := range []string{"release v2 of shop could not be built, v1 is still serving", "RUN make", "it ended with code 2", "pandabox builds log -a shop"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not say %q", text, want)
			}
		}
		if w.builds["shop-r2"] != 1 {
			t.Errorf("it was built %d times", w.builds["shop-r2"])
		}
		// What may pass is tried again.
		d = w.deploy("shop", release{built: true, act: behaviour{unbuilt: 2}})
		settle(10 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		d = w.deploy("shop", release{built: true, act: behaviour{unbuilt: 100}})
		settle(time.Minute)
		wantState(t, w, d, model.DeployRolledBack)
	})
}

func TestABuildEndsWithItsDeploy(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		end := map[string]func(){
			"canceled":   func() { w.cancelDeploy("shop") },
			"superseded": func() { w.deploy("shop", release{}) },
		}
		for name, how := range end {
			w.deploy("shop", release{built: true, act: behaviour{buildTime: time.Hour}})
			settle(time.Second)
			w.mu.Lock()
			n := len(w.building)
			w.mu.Unlock()
			if n != 1 {
				t.Fatalf("%d builds run", n)
			}
			how()
			settle(3 * time.Second)
			w.mu.Lock()
			n = len(w.building)
			w.mu.Unlock()
			if n != 0 {
				t.Errorf("%s, the build goes on", name)
			}
		}
	})
}

func TestWithoutABuilderNothingIsBuilt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		s.kill()
		w.boot(t, func(c *Config) { c.Builder = nil })
		d := w.deploy("shop", release{built: true})
		settle(time.Second)
		if is := wantState(t, w, d, model.DeployFailed); !strings.Contains(is.Error.Why, "does not build") {
			t.Errorf("it says %v", is.Error)
		}
	})
}

// TestWhatWasBuiltAndIsGoneIsBuiltAgain is a box after a restore: the store knows images that are not there.
func TestWhatWasBuiltAndIsGoneIsBuiltAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		d := w.deploy("shop", release{built: true})
		settle(3 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		s.kill()
		w.mu.Lock()
		w.missing = map[string]bool{"sha256:built-shop-r1": true}
		clear(w.containers)
		w.mu.Unlock()
		w.boot(t)
		settle(10 * time.Second)
		wantUp(t, w, "shop-v1-g0-web-1")
		if w.builds["shop-r1"] != 2 {
			t.Errorf("it was built %d times", w.builds["shop-r1"])
		}
	})
}
