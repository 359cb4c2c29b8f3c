package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// withShop is inWorld with shop v1 serving.
func withShop(t *testing.T, scenario func(t *testing.T, w *world, s *session)) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		d := w.deploy("shop", release{})
		settle(3 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		scenario(t, w, s)
	})
}

func TestDeploySwitchesWhenAllAreHealthy(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.scale("shop", "web", 2)
		settle(time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1", "shop-v1-g0-web-2")
		w.mu.Lock()
		w.inflight["shop-v1-g0-web-2"] = 1
		w.mu.Unlock()
		d := w.deploy("shop", release{act: behaviour{boot: time.Second}})
		settle(900 * time.Millisecond)
		wantState(t, w, d, model.DeployStarting)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1", "shop-v1-g0-web-2")
		settle(1500 * time.Millisecond)
		is := wantState(t, w, d, model.DeployDraining)
		wantRoute(t, w, model.RouteServing, "shop-v2-g0-web-1", "shop-v2-g0-web-2")
		wantUp(t, w, "shop-v1-g0-web-2", "shop-v2-g0-web-1", "shop-v2-g0-web-2")
		if dw := w.of("shop"); dw.Workload.Good != is.Target {
			t.Errorf("good is %v before the old ones are gone", dw.Workload.Good)
		}
		w.mu.Lock()
		w.inflight["shop-v1-g0-web-2"] = 0
		w.mu.Unlock()
		settle(time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v2-g0-web-1", "shop-v2-g0-web-2")
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.patches == 0 || w.publishes-w.patches > 2 {
			t.Errorf("%d publishes, %d of them patches", w.publishes, w.patches)
		}
	})
}

func TestDrainHasADeadline(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		w.deploy("shop", release{})
		settle(3 * time.Second)
		w.mu.Lock()
		w.inflight["shop-v1-g0-web-1"] = 1
		w.mu.Unlock()
		d := w.deploy("shop", release{})
		settle(25 * time.Second)
		wantState(t, w, d, model.DeployDraining)
		settle(10 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		if n := len(w.broken); n == 0 || !strings.Contains(w.broken[n-1], "1 requests in flight") {
			t.Errorf("broken: %q", w.broken)
		}
		w.broken = nil
	})
}

func TestFailedDeploys(t *testing.T) {
	web := webOnly()[0]
	tests := []struct {
		name        string
		act         behaviour
		processes   []model.Process
		within      time.Duration
		what, cause string // after "release v2 of shop "
		kind        model.Kind
		hint        string
	}{
		{"crashes", behaviour{exit: 1, boot: 100 * time.Millisecond}, nil, 10 * time.Second, "never became healthy",
			`web exited 3 times with code 1; last line: "PORT is not set"`, model.KindUnavailable, "pandabox logs -a shop --release v"},
		{"out of memory", behaviour{oom: true, boot: time.Second}, nil, 10 * time.Second, "never became healthy",
			`web was killed: out of memory, 3 times; last line: "PORT is not set"`, model.KindUnavailable, "more than 512 MB"},
		{"never answers", behaviour{dumb: true}, nil, 40 * time.Second, "never became healthy",
			`web.1 did not pass its health check within 30s: nothing listens on port 8080; last line: "PORT is not set"`, model.KindTimeout, "$PORT (8080)"},
		{"short grace", behaviour{dumb: true}, []model.Process{{Name: "web", Health: model.HealthCheck{Grace: model.Duration(2 * time.Second)}}}, 5 * time.Second,
			"never became healthy", `web.1 did not pass its health check within 2s`, model.KindTimeout, "health.grace"},
		{"no such image", behaviour{pullErr: model.NotFound("no image %q", "x").WithHint("check the name")}, nil, time.Second, "has no image", `no image "x"`, model.KindNotFound, "check the name"},
		{"registry down", behaviour{pullErr: errors.New("dial: no route")}, nil, 10 * time.Second, "has no image", "dial: no route", model.KindUnavailable, ""},
		{"hanging pull", behaviour{pullTime: time.Hour}, nil, 25 * time.Minute, "has no image", "took longer than 20m0s", model.KindTimeout, "registry"},
		{"no command", behaviour{startErr: model.Invalid("the image has no command")}, nil, time.Second, "could not be started", "the image has no command", model.KindInvalid, ""},
		{"runtime fails", behaviour{startErr: errors.New("odd")}, nil, 10 * time.Second, "could not be started", "odd", model.KindUnavailable, ""},
		{"release fails", behaviour{release: 3}, []model.Process{{Name: "release"}, web}, 5 * time.Second, "could not be prepared",
			`the release process exited with code 3; last line: "PORT is not set"`, model.KindUnavailable, ""},
		{"release hangs", behaviour{boot: time.Hour}, []model.Process{{Name: "release"}, web}, 31 * time.Minute, "could not be prepared", "did not end within 30m0s", model.KindTimeout, ""},
		{"worker crashes", behaviour{exit: 2, boot: time.Second}, []model.Process{{Name: "worker"}}, 10 * time.Second, "never became healthy", "worker exited 3 times with code 2", model.KindUnavailable, ""},
	}
	for _, tt := range tests {
		r := release{act: tt.act, processes: tt.processes}
		check := func(t *testing.T, e *model.Error, kind model.Kind, remains string) {
			t.Helper()
			if e == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(e.What, tt.what+", "+remains) || !strings.Contains(e.Why, tt.cause) || e.Kind != kind || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error is %s %q\n why %q\n hint %q", e.Kind, e.What, e.Why, e.Hint)
			}
		}
		t.Run(tt.name+"/rolls back", func(t *testing.T) {
			withShop(t, func(t *testing.T, w *world, s *session) {
				d := w.deploy("shop", r)
				settle(tt.within)
				is := wantState(t, w, d, model.DeployRolledBack)
				check(t, is.Error, model.KindRolledBack, "v1 is still serving")
				settle(2 * time.Second)
				wantUp(t, w, "shop-v1-g0-web-1")
				wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
				dw := w.of("shop")
				if dw.Workload.Want != dw.Workload.Good || dw.Workload.DeployID != "" || dw.Status.State != model.WorkloadRunning || dw.Status.Problem != nil {
					t.Errorf("after: %+v %+v", dw.Workload, dw.Status)
				}
				if n := w.started("shop-v1-g0-web-1"); n != 1 {
					t.Errorf("v1 was started %d times", n)
				}
			})
		})
		t.Run(tt.name+"/first", func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world, s *session) {
				d := w.deploy("shop", r)
				settle(tt.within)
				is := wantState(t, w, d, model.DeployFailed)
				check(t, is.Error, tt.kind, "nothing is serving")
				settle(2 * time.Second)
				wantUp(t, w)
				wantRoute(t, w, model.RouteDown)
				dw := w.of("shop")
				if !dw.Workload.Want.IsZero() || dw.Status.State != model.WorkloadDown || dw.Status.Problem == nil {
					t.Errorf("after: %+v %+v", dw.Workload, dw.Status)
				}
				again := w.deploy("shop", release{})
				settle(3 * time.Second)
				wantState(t, w, again, model.DeploySucceeded)
				if dw := w.of("shop"); dw.Status.Problem != nil {
					t.Errorf("problem stays: %v", dw.Status.Problem)
				}
			})
		})
	}
}

func TestReleasePhaseRunsOnce(t *testing.T) {
	processes := append(webOnly(), model.Process{Name: model.ProcessRelease, Command: []string{"migrate"}})
	for kill := range 12 {
		t.Run(fmt.Sprint("kill before operation ", kill), func(t *testing.T) {
			withShop(t, func(t *testing.T, w *world, s *session) {
				w.mu.Lock()
				w.fuse = kill
				w.mu.Unlock()
				d := w.deploy("shop", release{processes: processes})
				w.sleepWatching(t, 10*time.Second)
				is := wantState(t, w, d, model.DeploySucceeded)
				if n := w.started("shop-v2-g0-release-1"); n != 1 {
					t.Errorf("the release process ran %d times", n)
				}
				wantUp(t, w, "shop-v2-g0-web-1")
				found := false
				for _, ph := range is.Phases {
					found = found || ph.State == model.DeployReleasing && ph.Detail == "migrate"
				}
				if !found {
					t.Errorf("phases are %+v", is.Phases)
				}
				w.restart("shop")
				w.sleepWatching(t, 10*time.Second)
				wantUp(t, w, "shop-v2-g1-web-1")
				if n := w.started("shop-v2-g1-release-1"); n != 0 {
					t.Errorf("a restart ran the release process %d times", n)
				}
			})
		})
	}
}

func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    release
		at   time.Duration
	}{
		{"pull", release{act: behaviour{pullTime: time.Hour}}, time.Second},
		{"release phase", release{act: behaviour{boot: time.Hour}, processes: append(webOnly(), model.Process{Name: "release"})}, time.Second},
		{"start", release{}, 50 * time.Millisecond},
		{"probe", release{act: behaviour{dumb: true}}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withShop(t, func(t *testing.T, w *world, s *session) {
				d := w.deploy("shop", tt.r)
				settle(tt.at)
				w.cancelDeploy("shop")
				settle(2 * time.Second)
				is := wantState(t, w, d, model.DeployCanceled)
				if is.Error == nil || is.Error.What != "the deploy of release v2 of shop was canceled, v1 is still serving" {
					t.Errorf("error is %v", is.Error)
				}
				wantUp(t, w, "shop-v1-g0-web-1")
				if n := len(s.c.inbox); n > 0 {
					t.Errorf("%d messages wait", n)
				}
			})
		})
	}
}

func TestSuperseded(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.deploy("shop", release{act: behaviour{dumb: true}})
		settle(2 * time.Second)
		wantUp(t, w, "shop-v1-g0-web-1", "shop-v2-g0-web-1")
		w.deploy("shop", release{act: behaviour{pullTime: time.Hour}})
		settle(2 * time.Second)
		wantUp(t, w, "shop-v1-g0-web-1")
		d := w.deploy("shop", release{})
		settle(2 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v4-g0-web-1")
	})
}

func TestRollbackWhileDraining(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.mu.Lock()
		w.inflight["shop-v1-g0-web-1"] = 1
		w.mu.Unlock()
		old := w.of("shop").Workload.Good
		w.deploy("shop", release{})
		settle(2 * time.Second)
		wantUp(t, w, "shop-v1-g0-web-1", "shop-v2-g0-web-1")
		wantRoute(t, w, model.RouteServing, "shop-v2-g0-web-1")
		d := w.rollback("shop", old)
		settle(2 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v1-g0-web-1")
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		if n := w.started("shop-v1-g0-web-1"); n != 1 {
			t.Errorf("v1 was started %d times", n)
		}
		w.mu.Lock()
		w.inflight = map[string]int{}
		w.mu.Unlock()
	})
}

func TestRestartIsRolling(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		d := w.restart("shop")
		settle(3 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v1-g1-web-1")
	})
}

// A store that takes nothing keeps nothing from serving, and what serves is not removed before it is known to be replaced.
func TestDiskFull(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		d := w.deploy("shop", release{})
		settle(50 * time.Millisecond)
		w.mu.Lock()
		w.diskFull = true
		w.mu.Unlock()
		settle(time.Minute)
		wantRoute(t, w, model.RouteServing, "shop-v2-g0-web-1")
		wantUp(t, w, "shop-v1-g0-web-1", "shop-v2-g0-web-1")
		if st := s.c.Stats(); st.RecordError == nil {
			t.Error("the stats say nothing of it")
		}
		s.kill()
		w.boot(t)
		settle(time.Minute)
		wantUp(t, w, "shop-v1-g0-web-1", "shop-v2-g0-web-1")
		w.mu.Lock()
		w.diskFull = false
		w.mu.Unlock()
		settle(time.Minute)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v2-g0-web-1")
	})
}

// While the router does not take the table, nothing in the one it has is stopped.
func TestRouterFails(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.mu.Lock()
		w.publErr = errors.New("no")
		w.mu.Unlock()
		d := w.deploy("shop", release{})
		settle(20 * time.Second)
		wantUp(t, w, "shop-v1-g0-web-1", "shop-v2-g0-web-1")
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		w.mu.Lock()
		w.publErr = nil
		w.mu.Unlock()
		settle(30 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v2-g0-web-1")
	})
}

func TestSlowPullBlocksNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		for i := range 5 {
			id := fmt.Sprint("slow", i)
			w.create(id)
			w.deploy(id, release{act: behaviour{pullTime: 10 * time.Minute}})
		}
		settle(time.Second)
		if w.pulls != 2 {
			t.Errorf("%d pulls at once", w.pulls)
		}
		// What has a digest does not wait behind them.
		d := w.deploy("shop", release{})
		w.mu.Lock()
		is := *w.releases["shop-r1"]
		is.Image.Digest = "sha256:here"
		w.releases["shop-r1"] = &is
		w.signal()
		w.mu.Unlock()
		settle(2 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
	})
}

func TestStartsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 200 {
			id := fmt.Sprintf("app%03d", i)
			w.create(id)
			w.deploy(id, release{})
		}
		w.boot(t)
		settle(time.Minute)
		w.session.kill()
		for _, name := range w.names() {
			w.exit(name, 0, model.Exit{})
		}
		w.mu.Lock()
		w.mostStarts, w.records = 0, 0
		w.mu.Unlock()
		w.boot(t)
		settle(time.Minute)
		if w.mostStarts != 4 {
			t.Errorf("%d starts at once", w.mostStarts)
		}
		if n := len(w.up()); n != 200 {
			t.Errorf("%d containers", n)
		}
		for id := range w.workloads {
			if st := w.workloads[id].Status; st.State != model.WorkloadRunning || st.Replicas[0].Restarts != 0 && st.Replicas[0].LastExit.Known {
				t.Errorf("%s: %+v", id, st)
			}
		}
		w.session.kill()
		w.whole(t)
	})
}

// A route that the router refuses holds up no other.
func TestRouteRefused(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.mu.Lock()
		w.refused = model.Conflict("x.test belongs to the box itself")
		w.mu.Unlock()
		d := w.deploy("shop", release{})
		settle(5 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		wantUp(t, w, "shop-v2-g0-web-1")
	})
}
