package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestCrashLoopBacksOff(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		settle(10 * time.Minute)
		w.mu.Lock()
		w.acts["shop-r1"] = behaviour{exit: 1, boot: 100 * time.Millisecond}
		w.mu.Unlock()
		w.exit("shop-v1-g0-web-1", 0, model.Exit{Code: 1, Known: true})
		settle(10 * time.Millisecond)
		if state, backends := w.route("shop.test"); state == model.RouteServing {
			t.Errorf("route is %s %q after the only replica ended", state, backends)
		}
		// At once, then 1 s, 2 s, 4 s, 8 s, 16 s, 32 s, 64 s …, 5 min.
		settle(time.Minute)
		first := w.started("shop-v1-g0-web-1") - 1
		if first < 6 || first > 7 {
			t.Errorf("%d starts in the first minute", first)
		}
		settle(time.Hour)
		n := w.started("shop-v1-g0-web-1")
		settle(time.Hour)
		if more := w.started("shop-v1-g0-web-1") - n; more < 11 || more > 12 {
			t.Errorf("%d starts in an hour", more)
		}
		dw := w.of("shop")
		if dw.Status.State != model.WorkloadDown || dw.Status.Problem == nil || dw.Status.Problem.What != "web of shop keeps ending" {
			t.Errorf("status is %+v", dw.Status)
		}
		r := dw.Status.Replicas[0]
		if r.State != model.ReplicaBackoff || r.Restarts < 20 || r.LastExit == nil || r.NextStart.IsZero() {
			t.Errorf("replica is %+v", r)
		}
		wantRoute(t, w, model.RouteDown)
		if dw.Workload.Good.IsZero() || dw.Workload.DeployID != "" {
			t.Errorf("a crash is no failed deploy: %+v", dw.Workload)
		}
		// A new daemon does not begin from the start.
		s.kill()
		n = w.started("shop-v1-g0-web-1")
		w.boot(t)
		settle(10 * time.Minute)
		if more := w.started("shop-v1-g0-web-1") - n; more > 3 {
			t.Errorf("%d starts in ten minutes of a new daemon", more)
		}
		w.mu.Lock()
		w.acts["shop-r1"] = behaviour{}
		w.mu.Unlock()
		settle(10 * time.Minute)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		if dw := w.of("shop"); dw.Status.Problem != nil || dw.Status.State != model.WorkloadRunning {
			t.Errorf("status is %+v", dw.Status)
		}
		n = w.started("shop-v1-g0-web-1")
		w.exit("shop-v1-g0-web-1", 0, model.Exit{Code: 1, Known: true})
		settle(200 * time.Millisecond)
		if w.started("shop-v1-g0-web-1") != n+1 {
			t.Error("after a good run it was not started at once")
		}
	})
}

func TestOutOfMemoryIsSaid(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.exit("shop-v1-g0-web-1", 0, model.Exit{Code: 137, OOM: true, Known: true})
		settle(500 * time.Millisecond)
		p := w.of("shop").Status.Problem
		if p == nil || p.Why != "was killed: out of memory" {
			t.Errorf("problem is %v", p)
		}
	})
}

func TestOneOfTwoIsIll(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.scale("shop", "web", 2)
		settle(5 * time.Second)
		w.mu.Lock()
		w.ill["shop-v1-g0-web-1"] = time.Now()
		w.mu.Unlock()
		settle(6 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-2")
		if st := w.of("shop").Status; st.State != model.WorkloadDegraded || st.Problem == nil {
			t.Errorf("status is %+v", st)
		}
		settle(time.Minute)
		if n := w.started("shop-v1-g0-web-1"); n != 2 {
			t.Errorf("the ill one was started %d times", n)
		}
		w.mu.Lock()
		clear(w.ill)
		w.mu.Unlock()
		settle(5 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1", "shop-v1-g0-web-2")
		if n := w.started("shop-v1-g0-web-2"); n != 1 {
			t.Errorf("the well one was started %d times", n)
		}
	})
}

func TestAllIllKeepServing(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.scale("shop", "web", 2)
		settle(5 * time.Second)
		w.mu.Lock()
		w.ill["shop-v1-g0-web-1"], w.ill["shop-v1-g0-web-2"] = time.Now(), time.Now()
		w.mu.Unlock()
		settle(20 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1", "shop-v1-g0-web-2")
		for range 100 { // started afresh one after the other, never both
			settle(5 * time.Second)
			if _, backends := w.route("shop.test"); len(backends) == 0 {
				t.Fatal("nothing is routed")
			}
		}
		if w.started("shop-v1-g0-web-1") < 2 || w.started("shop-v1-g0-web-2") < 2 {
			t.Errorf("starts: %v", w.starts)
		}
	})
}

func TestScale(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.scale("shop", "web", 3)
		settle(2 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1", "shop-v1-g0-web-2", "shop-v1-g0-web-3")
		w.scale("shop", "web", 1)
		settle(2 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		wantUp(t, w, "shop-v1-g0-web-1")
		w.scale("shop", "web", 0)
		settle(2 * time.Second)
		wantRoute(t, w, model.RouteStopped)
		wantUp(t, w)
		if st := w.of("shop").Status.State; st != model.WorkloadStopped {
			t.Errorf("state is %s", st)
		}
		w.scale("shop", "web", 1)
		settle(2 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
	})
}

// Scaling down to the one that does not answer keeps the one that does until then.
func TestScaleDownKeepsTheOneThatAnswers(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.scale("shop", "web", 2)
		settle(5 * time.Second)
		w.mu.Lock()
		w.ill["shop-v1-g0-web-1"] = time.Now()
		w.mu.Unlock()
		settle(6 * time.Second)
		w.scale("shop", "web", 1)
		settle(5 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-2")
		w.mu.Lock()
		clear(w.ill)
		w.mu.Unlock()
		settle(5 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		wantUp(t, w, "shop-v1-g0-web-1")
	})
}

func TestDestroy(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.create("blog")
		w.deploy("blog", release{})
		settle(3 * time.Second)
		w.oneOff("shop-run-1", "shop", time.Now())
		w.change("shop", func(dw *model.DesiredWorkload) { dw.Workload.Deleting = true })
		settle(2 * time.Second)
		wantUp(t, w, "blog-v1-g0-web-1")
		if _, ok := w.table["shop.test"]; ok {
			t.Error("its route is left")
		}
		if w.of("shop").Workload.ID != "" || !w.forgotten["shop"] || w.forgotten["blog"] {
			t.Errorf("record %+v, forgotten %v", w.of("shop").Workload, w.forgotten)
		}
		settle(10 * time.Minute)
		if len(w.kept) == 0 {
			t.Fatal("nothing was reclaimed")
		}
		if last := w.kept[len(w.kept)-1]; len(last.Environments) != 1 || last.Environments[0] != "env-blog" {
			t.Errorf("kept %+v", last)
		}
		if st := s.c.Stats(); st.Workloads != 1 || st.Containers != 1 {
			t.Errorf("stats are %+v", st)
		}
	})
}

// oneOff makes a container as control does.
func (w *world) oneOff(name, workload string, made time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.containers[name] = &fakeContainer{Container: model.Container{
		Name: name, Replica: model.Replica{Role: model.RoleOneOff, WorkloadID: workload}, State: model.ContainerRunning, Pid: 99, CreatedAt: made,
	}}
	w.fire()
}

func TestOrphans(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.oneOff("shop-run-1", "shop", time.Now())
		w.oneOff("ghost-run-1", "ghost", time.Now())
		w.mu.Lock()
		w.containers["ghost-v1-g0-web-1"] = &fakeContainer{Container: model.Container{
			Name: "ghost-v1-g0-web-1", Replica: model.Replica{Role: model.RoleReplica, WorkloadID: "ghost", Process: "web"}, State: model.ContainerRunning, Pid: 98, CreatedAt: time.Now(),
		}}
		w.containers["shop-v0-g0-web-1"] = &fakeContainer{Container: model.Container{
			Name: "shop-v0-g0-web-1", Replica: model.Replica{Role: model.RoleReplica, WorkloadID: "shop", Process: "web"}, State: model.ContainerCreated, CreatedAt: time.Now(),
		}}
		w.fire()
		w.mu.Unlock()
		settle(time.Minute)
		wantUp(t, w, "shop-run-1", "shop-v1-g0-web-1")
		if len(w.forgotten) > 0 {
			t.Errorf("volumes of %v were deleted", w.forgotten)
		}
		settle(25 * time.Hour)
		wantUp(t, w, "shop-v1-g0-web-1")
	})
}

func TestRestartOfTheDaemonAdopts(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		s.kill()
		began := time.Now()
		s = w.boot(t)
		<-s.c.Ready()
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("the first table took %s", took)
		}
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		records := w.records
		settle(time.Minute)
		if n := w.started("shop-v1-g0-web-1"); n != 1 {
			t.Errorf("it was started %d times", n)
		}
		if w.records != records {
			t.Errorf("%d transactions with nothing new", w.records-records)
		}
	})
}

// A replica found running that does not answer is not presumed well for long.
func TestAdoptedButDead(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.scale("shop", "web", 2)
		settle(time.Minute)
		s.kill()
		w.mu.Lock()
		w.ill["shop-v1-g0-web-1"] = time.Now()
		w.mu.Unlock()
		s = w.boot(t)
		<-s.c.Ready()
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1", "shop-v1-g0-web-2")
		settle(time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-2")
	})
}

func TestReboot(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		d := w.deploy("shop", release{act: behaviour{dumb: true}})
		settle(5 * time.Second)
		s.kill()
		for _, name := range w.names() {
			w.exit(name, 0, model.Exit{})
		}
		w.boot(t)
		settle(2 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		settle(40 * time.Second)
		wantState(t, w, d, model.DeployRolledBack)
		wantUp(t, w, "shop-v1-g0-web-1")
	})
}

// With nothing to do, nothing is published, written, started or asked for.
func TestIdle(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		settle(10 * time.Minute)
		publishes, records, pulls := w.publishes, w.records, w.pulls
		settle(24 * time.Hour)
		if w.publishes != publishes || w.records != records || w.pulls != pulls || len(w.kept) > 1 {
			t.Errorf("in a day of nothing: %d publishes, %d transactions, %d pulls, %d reclaims", w.publishes-publishes, w.records-records, w.pulls-pulls, len(w.kept))
		}
	})
}

func TestShutdownInTheMiddle(t *testing.T) {
	for at := range 40 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.create("shop")
			s := w.boot(t)
			w.deploy("shop", release{act: behaviour{pullTime: 50 * time.Millisecond}})
			settle(time.Duration(at) * 10 * time.Millisecond)
			s.cancel()
			if err := <-s.done; err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
	}
}

// An image that is gone is fetched again, by a deploy and by what serves.
func TestImageGone(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		pulls := w.pulls
		w.mu.Lock()
		w.missing = map[string]bool{"sha256:shop-r1": true}
		w.mu.Unlock()
		w.exit("shop-v1-g0-web-1", 0, model.Exit{Code: 1, Known: true})
		settle(5 * time.Second)
		wantRoute(t, w, model.RouteServing, "shop-v1-g0-web-1")
		d := w.restart("shop")
		w.mu.Lock()
		w.missing["sha256:shop-r1"] = true
		w.mu.Unlock()
		settle(5 * time.Second)
		wantState(t, w, d, model.DeploySucceeded)
		if w.pulls != pulls+2 {
			t.Errorf("%d pulls", w.pulls-pulls)
		}
	})
}

// What a daemon counted, the next one does not count again.
func TestCrashIsCountedOnce(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		w.mu.Lock()
		w.acts["shop-r1"] = behaviour{exit: 1, boot: 100 * time.Millisecond}
		w.mu.Unlock()
		w.exit("shop-v1-g0-web-1", 0, model.Exit{Code: 1, Known: true})
		settle(10 * time.Second) // 1, 2, 4 and into 8 s
		was := w.of("shop").Status.Replicas[0]
		for range 5 {
			s.kill()
			s = w.boot(t)
			settle(500 * time.Millisecond)
		}
		is := w.of("shop").Status.Replicas[0]
		if is.Restarts != was.Restarts || was.Restarts != 4 || !is.NextStart.Equal(was.NextStart) || is.State != model.ReplicaBackoff {
			t.Errorf("was %+v\nis  %+v", was, is)
		}
	})
}

// What happens while nothing can be written is written when it can, the newest of it.
func TestStatusAfterDiskFull(t *testing.T) {
	withShop(t, func(t *testing.T, w *world, s *session) {
		settle(10 * time.Minute)
		w.mu.Lock()
		w.diskFull = true
		w.acts["shop-r1"] = behaviour{boot: 500 * time.Millisecond} // up again while a write is about to fail
		w.mu.Unlock()
		w.exit("shop-v1-g0-web-1", 0, model.Exit{Code: 1, Known: true})
		settle(20 * time.Minute) // it is up again long since
		w.mu.Lock()
		w.diskFull = false
		w.mu.Unlock()
		settle(time.Minute)
		st := w.of("shop").Status
		if st.State != model.WorkloadRunning || st.Replicas[0].State != model.ReplicaHealthy || st.Replicas[0].Restarts != 1 || st.Problem != nil {
			t.Errorf("status is %+v", st)
		}
	})
}

func TestStopGrace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world, s *session) {
		slow := model.Process{Name: "worker", Grace: model.Duration(5 * time.Minute)}
		w.deploy("shop", release{processes: append(webOnly(), slow)})
		settle(10 * time.Second)
		w.deploy("shop", release{})
		settle(10 * time.Second)
		wantUp(t, w, "shop-v2-g0-web-1")
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.graces["shop-v1-g0-web-1"] != 10*time.Second || w.graces["shop-v1-g0-worker-1"] != 5*time.Minute {
			t.Errorf("graces are %v", w.graces)
		}
	})
}
