package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

// act is one thing that happens to a box.
type act struct {
	kind  string
	app   string
	n     int
	after time.Duration
}

var actKinds = []string{
	"deploy", "deploy", "deploy", "bad deploy", "bad deploy", "rollback", "restart", "scale", "scale worker", "cancel", "destroy",
	"exit", "exit", "oom", "ill", "well", "kill", "kill", "fuse", "fuse", "reboot", "disk full", "disk free", "runtime down", "runtime up",
	"router broken", "router works", "nothing",
}

func drawAct(t *rapid.T) act {
	return act{
		kind: rapid.SampledFrom(actKinds).Draw(t, "kind"), app: rapid.SampledFrom([]string{"shop", "blog", "api"}).Draw(t, "app"), n: rapid.IntRange(0, 9).Draw(t, "n"),
		after: time.Duration(rapid.OneOf(rapid.IntRange(0, 500), rapid.IntRange(0, 20_000)).Draw(t, "after")) * time.Millisecond,
	}
}

// TestConverges lets any of it happen in any order, the daemon being killed between any two operations, and then wants
// the box to come to what was asked for: that, all of that, and nothing else; and no gap on the way.
func TestConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		acts := rapid.SliceOfN(rapid.Custom(drawAct), 1, 25).Draw(rt, "acts")
		plain := rapid.Bool().Draw(rt, "router without patches")
		var failed error
		synctest.Test(t, func(t *testing.T) { failed = live(t, acts, plain) })
		if failed != nil {
			rt.Fatal(failed)
		}
	})
}

func live(t *testing.T, acts []act, plain bool) error {
	w := newWorld()
	w.plain = plain
	w.create("shop")
	w.create("blog")
	w.create("api") // a function, most of its releases on shop
	w.boot(t)
	for _, a := range acts {
		w.happen(t, a)
		w.sleepWatching(t, a.after)
	}
	w.calm(t)
	var failed error
	for range 120 {
		w.sleepWatching(t, time.Minute)
		w.mu.Lock()
		failed = w.converged()
		w.mu.Unlock()
		if failed == nil || len(w.broken) > 0 {
			break
		}
	}
	w.session.kill()
	return failed
}

// sleepWatching lets time pass, and boots the daemon again whenever its fuse has burnt.
func (w *world) sleepWatching(t *testing.T, d time.Duration) {
	end := time.Now().Add(d)
	for {
		select {
		case <-w.session.dead:
			w.session.kill()
			w.boot(t)
			continue
		case <-time.After(time.Until(end)):
			synctest.Wait()
		}
		select {
		case <-w.session.dead:
			continue
		default:
			return
		}
	}
}

func (w *world) happen(t *testing.T, a act) {
	w.mu.Lock()
	w.tell("%+v", a)
	w.mu.Unlock()
	dw := w.of(a.app)
	if dw.Workload.ID == "" || dw.Workload.Deleting && slices.Contains([]string{"deploy", "bad deploy", "rollback", "restart", "scale", "scale worker", "cancel"}, a.kind) {
		if dw.Workload.ID == "" && strings.Contains(a.kind, "deploy") {
			w.create(a.app)
		} else if !slices.Contains([]string{"kill", "fuse", "reboot", "disk full", "disk free", "runtime down", "runtime up", "router broken", "router works"}, a.kind) {
			return
		}
	}
	switch a.kind {
	case "deploy":
		if a.app == "api" {
			w.deploy(a.app, goodFunction(a.n))
			return
		}
		w.deploy(a.app, goodRelease(a.n))
	case "bad deploy":
		if a.app == "api" {
			w.deploy(a.app, badFunction(a.n))
			return
		}
		w.deploy(a.app, badRelease(a.n))
	case "rollback":
		w.mu.Lock()
		var to []model.Target
		for _, id := range slices.Sorted(maps.Keys(w.releases)) {
			if w.releases[id].WorkloadID == a.app {
				to = append(to, model.Target{ReleaseID: id})
			}
		}
		w.mu.Unlock()
		if len(to) > 0 {
			w.rollback(a.app, to[a.n%len(to)])
		}
	case "restart":
		w.restart(a.app)
	case "scale":
		if a.app != "api" {
			w.scale(a.app, "web", a.n%4)
		}
	case "scale worker":
		w.scale(a.app, "worker", a.n%3)
	case "cancel":
		w.cancelDeploy(a.app)
	case "destroy":
		w.change(a.app, func(dw *model.DesiredWorkload) { dw.Workload.Deleting = true })
	case "exit":
		w.exit(w.pick(a), 0, model.Exit{Code: a.n, Known: a.n > 0})
	case "oom":
		w.exit(w.pick(a), 0, model.Exit{Code: 137, OOM: true, Known: true})
	case "ill", "well":
		name := w.pick(a)
		w.mu.Lock()
		if w.ill[name] = time.Now(); a.kind == "well" {
			clear(w.ill)
		}
		w.mu.Unlock()
	case "kill":
		w.session.kill()
		w.boot(t)
	case "fuse":
		w.mu.Lock()
		w.fuse = a.n + 1
		w.mu.Unlock()
	case "reboot":
		w.session.kill()
		for _, name := range w.names() {
			w.exit(name, 0, model.Exit{})
		}
		w.boot(t)
	case "disk full", "disk free":
		w.mu.Lock()
		w.diskFull = a.kind == "disk full"
		w.mu.Unlock()
	case "runtime down":
		w.mu.Lock()
		w.listErr = errors.New("containerd does not answer")
		w.mu.Unlock()
	case "runtime up":
		w.mu.Lock()
		w.listErr = nil
		w.fire()
		w.mu.Unlock()
	case "router broken":
		w.mu.Lock()
		w.publErr = errors.New("no")
		w.mu.Unlock()
	case "router works":
		w.mu.Lock()
		w.publErr = nil
		w.mu.Unlock()
	}
}

func goodRelease(n int) release {
	r := release{act: behaviour{boot: time.Duration(n) * 150 * time.Millisecond}, processes: slowWeb()}
	if n%3 == 0 {
		r.built, r.act.buildTime, r.act.unbuilt = true, time.Duration(n)*time.Second, n%2
	}
	if n%2 == 0 {
		r.processes = append(r.processes, model.Process{Name: "worker"})
	}
	if n%3 == 0 {
		r.processes = append(r.processes, model.Process{Name: model.ProcessRelease, Command: []string{"migrate"}})
	}
	if n%4 == 1 {
		r.act.flaky = 2
	}
	if n%5 == 1 {
		r.act.pullTime = 8 * time.Second
	}
	if n == 9 {
		r.processes = []model.Process{{Name: "worker"}}
	}
	return r
}

func goodFunction(n int) release {
	f := &model.Function{Digest: "sha256:f", Runtime: model.RuntimeJS}
	switch n % 4 {
	case 1:
		f.On, f.Routes = "shop", []string{"/api/*"}
	case 2:
		f.On, f.Routes, f.Middleware = "shop", []string{"/*", "/health"}, true
	case 3:
		f.On, f.Routes = "blog", []string{"/api/*"}
	}
	r := release{function: f}
	if n > 7 {
		r.act.flaky = 2
	}
	return r
}

func badFunction(n int) release {
	r := goodFunction(n)
	r.act = behaviour{startErr: model.Invalid("ReferenceError: x is not defined").WithWhy("src/index.ts:3:7")}
	switch n % 3 {
	case 1:
		r.act = behaviour{startErr: errors.New("odd")}
	case 2:
		r.act = behaviour{flaky: 1000}
	}
	return r
}

func slowWeb() []model.Process { return []model.Process{{Name: model.ProcessWeb}} }

func badRelease(n int) release {
	r := release{processes: slowWeb()}
	switch n {
	case 0:
		r.act = behaviour{boot: 100 * time.Millisecond, exit: 1}
	case 1:
		r.act = behaviour{oom: true, boot: time.Second}
	case 2, 3:
		r.act = behaviour{dumb: true}
	case 4:
		r.act = behaviour{pullErr: model.NotFound("no such image")}
	case 5:
		r.act = behaviour{pullErr: errors.New("registry is down"), pullTime: time.Second}
	case 6:
		r.act = behaviour{startErr: model.Invalid("the image has no command")}
	case 7:
		r.act = behaviour{startErr: errors.New("odd")}
	case 8:
		r.act = behaviour{release: 3}
		r.processes = append(r.processes, model.Process{Name: model.ProcessRelease})
	case 9:
		r.act = behaviour{flaky: 1000}
	}
	return r
}

func (w *world) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.containers))
}

func (w *world) pick(a act) string {
	names := w.names()
	if len(names) == 0 {
		return ""
	}
	return names[a.n%len(names)]
}

// calm ends all that is wrong with the box itself.
func (w *world) calm(*testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.diskFull, w.listErr, w.publErr = false, nil, nil
	clear(w.ill)
	w.fire()
}

// paths returns the keys of the routes a function has on another app's domains.
func (w *world) paths(dw model.DesiredWorkload) []string {
	var out []string
	if dw.Good == nil || dw.Good.Function == nil {
		return nil
	}
	f := dw.Good.Function
	if on := w.workloads[f.On]; on == nil || on.Workload.Deleting {
		return nil
	}
	for _, path := range f.Routes {
		out = append(out, f.On+".test"+path)
	}
	return out
}

// converged tells what is not as it should be.
func (w *world) converged() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	for _, b := range w.broken {
		bad("on the way: %s", b)
	}
	wanted, unsound := map[string]bool{}, map[model.Target]bool{}
	routes := 0
	for id, dw := range w.workloads {
		full := w.assemble(id)
		routes++
		if dw.Workload.Deleting {
			bad("%s was not removed", id)
			continue
		}
		if full.Deploy != nil || dw.Workload.DeployID != "" {
			bad("the deploy of %s did not end: %+v", id, full.Deploy)
		}
		if dw.Workload.Want != dw.Workload.Good {
			bad("%s wants %v, good is %v", id, dw.Workload.Want, dw.Workload.Good)
		}
		var backends []string
		state := model.WorkloadRunning
		if a := w.acts[dw.Workload.Good.ReleaseID]; a.exit != 0 || a.oom || a.dumb || a.startErr != nil || a.flaky > 2 {
			unsound[dw.Workload.Good] = true
			continue // it came to serve while it was scaled to zero, when nothing showed what it is
		}
		if full.Good != nil {
			p := &planner{dw: full}
			all := p.slots(full.Good, full.Workload.Good)
			for _, s := range all {
				wanted[s.name] = true
				if s.process.Name == model.ProcessWeb {
					backends = append(backends, s.name)
				}
			}
			if len(all) == 0 {
				state = model.WorkloadStopped
			}
		} else if state = model.WorkloadDown; dw.Workload.LastRelease == 0 || dw.Status.Problem == nil {
			state = model.WorkloadNew
		}
		paths := w.paths(full)
		routes += len(paths)
		for _, at := range append(paths, id+".test") {
			r, ok := w.table[at]
			if !ok {
				bad("%s has no route %s", id, at)
			}
			var got []string
			for _, b := range r.Backends {
				got = append(got, b.Name)
			}
			if !slices.Equal(got, backends) || r.WorkloadID != id {
				bad("%s of %s is routed to %v, want %v", at, id, got, backends)
			}
		}
		if dw.Status.State != state {
			bad("%s is %s, want %s: %+v", id, dw.Status.State, state, dw.Status)
		}
		if state == model.WorkloadRunning && dw.Status.Problem != nil {
			bad("%s runs and has a problem: %v", id, dw.Status.Problem)
		}
	}
	for name, c := range w.containers {
		if unsound[c.Replica.Target()] {
			continue
		}
		if !wanted[name] {
			bad("%s was left behind, %s", name, c.State)
		} else if c.State != model.ContainerRunning {
			bad("%s is %s", name, c.State)
		}
		delete(wanted, name)
	}
	for name := range wanted {
		bad("%s does not run", name)
	}
	if len(w.table) != routes {
		bad("there are %d routes, want %d", len(w.table), routes)
	}
	for id, d := range w.deploys {
		if w.workloads[d.WorkloadID] != nil && !d.State.Final() && w.workloads[d.WorkloadID].Workload.CreatedAt.Before(d.CreatedAt) {
			bad("deploy %s is %s", id, d.State)
		}
	}
	return errors.Join(wrong...)
}
