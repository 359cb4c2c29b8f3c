package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func onShop(middleware bool, routes ...string) *model.Function {
	return &model.Function{Digest: "sha256:f", Runtime: model.RuntimeJS, On: "shop", Routes: routes, Middleware: middleware}
}

// withAPI is withShop with a function beside it, on its path /api/*.
func withAPI(t *testing.T, scenario func(t *testing.T, w *world)) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.create("api")
		d := w.deploy("api", release{function: onShop(false, "/api/*"), config: 1})
		settle(time.Second)
		is := wantState(t, w, d, model.DeploySucceeded)
		var phases []string
		for _, ph := range is.Phases {
			phases = append(phases, string(ph.State)+" "+ph.Detail)
		}
		if got := strings.Join(phases, "; "); got != "starting js, 0.4 MB snapshot; draining " {
			t.Errorf("phases are %q", got)
		}
		scenario(t, w)
	})
}

// hasRoute tells whether the table in force has a host, or a path of one.
func (w *world) hasRoute(at string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, there := w.table[at]
	return there
}

func wantPath(t *testing.T, w *world, at string, backends ...string) model.Route {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.table[at]
	var got []string
	for _, b := range r.Backends {
		got = append(got, b.Name)
		if !b.Function || b.Addr.IsValid() {
			t.Errorf("%s goes to %+v, which is no function", at, b)
		}
	}
	if !slices.Equal(got, backends) {
		t.Errorf("%s goes to %q, want %q", at, got, backends)
	}
	return r
}

func TestAFunctionIsAReplica(t *testing.T) {
	withAPI(t, func(t *testing.T, w *world) {
		wantUp(t, w, "api-v1-g0-web-1", "shop-v1-g0-web-1")
		wantPath(t, w, "api.test", "api-v1-g0-web-1")
		if r := wantPath(t, w, "shop.test/api/*", "api-v1-g0-web-1"); r.TLS != model.TLSOff || r.WorkloadID != "api" || r.Middleware {
			t.Errorf("its route on shop is %+v", r)
		}
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		spec := w.containers["api-v1-g0-web-1"].spec
		want := []string{"SECRET=opened", "PORT=1", "PANDABOX_APP=api", "PANDABOX_ENV=production", "PANDABOX_RELEASE=v1", "PANDABOX_URL=http://api.test"}
		if !slices.Equal(spec.Env, want) || spec.Function == nil || spec.Function.Digest != "sha256:f" {
			t.Errorf("it is started as %+v", spec)
		}
		if st := w.of("api").Status; st.State != model.WorkloadRunning || st.Replicas[0].State != model.ReplicaHealthy {
			t.Errorf("status is %+v", st)
		}
		if w.pulls != 1 {
			t.Errorf("%d images were asked for, want shop's alone", w.pulls)
		}
	})
}

func TestAFunctionIsReplacedAtOnce(t *testing.T) {
	withAPI(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.inflight["api-v1-g0-web-1"] = 1
		w.mu.Unlock()
		d := w.deploy("api", release{function: onShop(true, "/api/*", "/admin/*")})
		settle(time.Second)
		wantState(t, w, d, model.DeployDraining)
		wantUp(t, w, "api-v1-g0-web-1", "api-v2-g0-web-1", "shop-v1-g0-web-1") // the old code finishes its request
		if r := wantPath(t, w, "shop.test/admin/*", "api-v2-g0-web-1"); !r.Middleware {
			t.Error("the new route is no middleware")
		}
		w.mu.Lock()
		w.inflight["api-v1-g0-web-1"] = 0
		w.mu.Unlock()
		settle(time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "api-v2-g0-web-1", "shop-v1-g0-web-1")
	})
}

func TestCodeThatThrowsFailsTheDeployAtOnce(t *testing.T) {
	withAPI(t, func(t *testing.T, w *world) {
		threw := model.Invalid("ReferenceError: x is not defined").WithWhy("src/index.ts:3:7").WithHint("declare x")
		d := w.deploy("api", release{function: onShop(false, "/*"), act: behaviour{startErr: threw}})
		settle(500 * time.Millisecond)
		is := wantState(t, w, d, model.DeployRolledBack)
		text := is.Error.Error() + "\n" + is.Error.Hint
		for _, want := range []string{"release v2 of api could not be started, v1 is still serving", "ReferenceError: x is not defined", "src/index.ts:3:7", "declare x"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not say %q", text, want)
			}
		}
		wantPath(t, w, "shop.test/api/*", "api-v1-g0-web-1")
		if w.hasRoute("shop.test/*") {
			t.Error("what failed has a route")
		}
		if w.started("api-v2-g0-web-1") != 0 {
			t.Error("it was loaded")
		}
	})
}

func TestWhatIsNotYetGoodTakesNoPath(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.create("api")
		d := w.deploy("api", release{function: onShop(false, "/*"), act: behaviour{flaky: 1}})
		settle(500 * time.Millisecond)
		wantState(t, w, d, model.DeployStarting)
		if w.hasRoute("shop.test/*") {
			t.Error("a function that never was good has a route on shop")
		}
		settle(3 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantPath(t, w, "shop.test/*", "api-v1-g0-web-1")
	})
}

func TestRoutesFollowTheAppTheyAreOn(t *testing.T) {
	withAPI(t, func(t *testing.T, w *world) {
		w.change("shop", func(dw *model.DesiredWorkload) {
			dw.Domains = append(slices.Clip(dw.Domains), model.Domain{Host: "www.shop.test", WorkloadID: "shop", TLS: model.TLSAuto})
		})
		settle(time.Second)
		if r := wantPath(t, w, "www.shop.test/api/*", "api-v1-g0-web-1"); r.TLS != model.TLSAuto {
			t.Errorf("TLS is %s", r.TLS)
		}
		w.change("shop", func(dw *model.DesiredWorkload) { dw.Workload.Deleting = true })
		settle(5 * time.Second)
		wantUp(t, w, "api-v1-g0-web-1")
		wantPath(t, w, "api.test", "api-v1-g0-web-1")
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.table) != 1 {
			t.Errorf("routes are %v", w.table)
		}
	})
}

func TestAFunctionIsDestroyed(t *testing.T) {
	withAPI(t, func(t *testing.T, w *world) {
		w.change("api", func(dw *model.DesiredWorkload) { dw.Workload.Deleting = true })
		settle(5 * time.Second)
		wantUp(t, w, "shop-v1-g0-web-1")
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.table) != 1 || !w.forgotten["api"] || w.workloads["api"] != nil {
			t.Errorf("left: %v, %v", w.table, w.workloads["api"])
		}
	})
}

func TestAJobsContainersAreTheSchedulers(t *testing.T) {
	job := func(s *sketch) {
		s.seen["w-run-1"] = model.Container{
			Name: "w-run-1", State: model.ContainerRunning, CreatedAt: noon.Add(-48 * time.Hour),
			Replica: model.Replica{Role: model.RoleJob, WorkloadID: "w", ReleaseID: "r0", Process: "job"},
		}
	}
	if d := app().good().runs("v1 web 1").with(job).decide(); strings.Contains(told(d), "run-1") {
		t.Errorf("beside an app: %s", told(d))
	}
	d := app().good().deploy(model.DeployDraining).runs("v2 web 1").with(job).with(func(s *sketch) { s.dw.Workload.Good = s.dw.Workload.Want; s.dw.Good = s.dw.Want }).decide()
	if d.update.Settled == "" {
		t.Errorf("it holds up a deploy: %+v", d.update)
	}
	if d := app().good().runs("v1 web 1").with(job).with(deleting).decide(); !strings.Contains(told(d), "retire run-1") {
		t.Errorf("when the app is destroyed: %s", told(d))
	}
}
