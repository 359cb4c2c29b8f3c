package reconcile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// sketch is a workload as a test describes it, and what is decided for it.
type sketch struct {
	dw   model.DesiredWorkload
	seen map[string]model.Container
	mem  *memory
}

func app(processes ...model.Process) *sketch {
	if processes == nil {
		processes = []model.Process{{Name: "web"}}
	}
	s := &sketch{seen: map[string]model.Container{}, mem: newMemory()}
	s.mem.known = true
	s.dw = model.DesiredWorkload{
		Workload: model.Workload{ID: "w", EnvID: "e"}, App: model.App{Name: "shop"}, Env: model.Environment{Name: "production"},
		Domains: []model.Domain{{Host: "shop.test"}}, Status: model.WorkloadStatus{WorkloadID: "w", State: model.WorkloadNew},
	}
	s.dw.Want = s.release(1, processes...)
	s.dw.Workload.Want = model.Target{ReleaseID: "r1"}
	return s
}

// release returns a release whose image is present.
func (s *sketch) release(n int, processes ...model.Process) *model.Release {
	id := fmt.Sprint("r", n)
	s.mem.images[id] = failure{done: true}
	return &model.Release{ID: id, WorkloadID: "w", Number: n, Image: model.Image{Ref: "x", Digest: "sha256:" + id}, Processes: processes}
}

// good makes the wanted release the one that serves, settled.
func (s *sketch) good() *sketch {
	s.dw.Good, s.dw.Workload.Good = s.dw.Want, s.dw.Workload.Want
	s.dw.Deploy, s.dw.Workload.DeployID = nil, ""
	return s
}

// deploy has release 2 wanted, in a phase that began a second ago.
func (s *sketch) deploy(state model.DeployState, processes ...model.Process) *sketch {
	if processes == nil {
		processes = []model.Process{{Name: "web"}}
	}
	s.dw.Want, s.dw.Workload.Want = s.release(2, processes...), model.Target{ReleaseID: "r2"}
	s.dw.Deploy = &model.Deploy{ID: "d", Kind: model.DeployRelease, Target: s.dw.Workload.Want, State: state, CreatedAt: noon.Add(-time.Minute)}
	if state != model.DeployPending {
		s.dw.Deploy.Phases = []model.Phase{{State: state, Began: noon.Add(-time.Second)}}
	}
	s.dw.Workload.DeployID = "d"
	return s
}

// runs adds containers, "v1 web 1" each; a fourth word says how it is.
func (s *sketch) runs(all ...string) *sketch {
	for _, text := range all {
		var r model.Replica
		var how string
		if _, err := fmt.Sscanf(text+" healthy", "v%d %s %d %s", &r.Release, &r.Process, &r.Index, &how); err != nil {
			panic(err)
		}
		r.Role, r.WorkloadID, r.EnvID, r.App, r.ReleaseID = model.RoleReplica, "w", "e", "shop", fmt.Sprint("r", r.Release)
		if r.Process == model.ProcessRelease {
			r.Role = model.RoleRelease
		}
		n := len(s.seen) + 1
		c := model.Container{
			Name: r.Name(), Replica: r, State: model.ContainerRunning, Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), Pid: n,
			CreatedAt: noon.Add(-10 * time.Second), StartedAt: noon.Add(-10 * time.Second),
		}
		h := health{run: runOf(c), since: noon.Add(-9 * time.Second)}
		switch how {
		case "healthy":
			h.state, h.detail = healthy, "healthy on /up"
		case "presumed":
			h.state = presumed
		case "unhealthy":
			h.state, h.detail = unhealthy, "/up answered 500"
		case "starting":
			h.failures = 1
		case "unasked":
			c.StartedAt = noon.Add(-time.Minute)
		case "hanging":
			h.failures = 1
			c.StartedAt = noon.Add(-time.Minute)
		case "exited", "failed", "lost", "oom", "done":
			c.State, c.Pid, c.Addr = model.ContainerExited, 0, netip.Addr{}
			c.Exit = map[string]model.Exit{
				"exited": {Code: 1, Known: true}, "failed": {Message: "exec: no such file", Known: true}, "lost": {}, "oom": {Code: 137, Known: true, OOM: true},
				"done": {Known: true},
			}[how]
		case "created":
			c.State, c.Pid, c.Addr = model.ContainerCreated, 0, netip.Addr{}
		default:
			panic(how)
		}
		s.seen[c.Name] = c
		if c.State == model.ContainerRunning && r.Role == model.RoleReplica {
			s.mem.health[c.Name] = h
		}
	}
	return s
}

func (s *sketch) with(change func(*sketch)) *sketch {
	change(s)
	return s
}

func (s *sketch) crashed(name string, n int, next time.Duration) *sketch {
	s.mem.crashes[name] = crash{count: n, restarts: n, exit: &model.Exit{Code: 1, Known: true}, at: noon.Add(-time.Second), next: noon.Add(next)}
	return s
}

func (s *sketch) scale(process string, n int) *sketch {
	s.dw.Workload.Scale = map[string]model.Scale{process: {Replicas: &n}}
	return s
}

func (s *sketch) under(kind opKind, name string) *sketch {
	s.mem.running[kind.key(name)] = op{kind: kind, name: name}
	return s
}

func (s *sketch) decide() decision {
	return plan(s.dw, s.seen, s.mem, Limits{}.complete(), noon)
}

// told returns a decision in short: operations; where requests go; what becomes of deploy and targets.
func told(d decision) string {
	var parts []string
	for _, o := range d.ops {
		parts = append(parts, string(o.kind)+" "+strings.TrimPrefix(o.name, "w-"))
	}
	for _, r := range d.routes {
		to := string(r.State)
		for _, b := range r.Backends {
			to += " " + strings.TrimPrefix(b.Name, "w-")
		}
		parts = append(parts, "→ "+to)
	}
	u := d.update
	if u.Deploy != nil {
		parts = append(parts, "deploy "+string(u.Deploy.State))
	}
	if u.Good != nil {
		parts = append(parts, "good "+u.Good.ReleaseID)
	}
	if u.RollBackTo != nil {
		parts = append(parts, "back to "+u.RollBackTo.ReleaseID)
	}
	if u.Settled != "" {
		parts = append(parts, "settled")
	}
	if u.Removed {
		parts = append(parts, "removed")
	}
	return strings.Join(parts, "; ")
}

func TestPlan(t *testing.T) {
	web, worker, releaser := model.Process{Name: "web"}, model.Process{Name: "worker"}, model.Process{Name: "release"}
	noImage := func(s *sketch) { delete(s.mem.images, "r2") }
	noDigest := func(s *sketch) { noImage(s); s.dw.Want.Image.Digest = "" }
	tests := []struct {
		name string
		s    *sketch
		want string
		wake time.Duration // after noon; 0: none
	}{
		// Settled.
		{"nothing was ever deployed", app().with(func(s *sketch) { s.dw.Want, s.dw.Workload.Want = nil, model.Target{} }), "→ down", 0},
		{"all is well", app().good().runs("v1 web 1"), "→ serving v1-g0-web-1", 0},
		{"nothing runs", app().good(), "start v1-g0-web-1; → starting", 0},
		{"image not looked for yet", app().good().with(func(s *sketch) { clear(s.mem.images) }), "pull r1; → starting", 0},
		{"image could not be had", app().good().with(func(s *sketch) {
			s.mem.images["r1"] = failure{err: errors.New("x"), count: 1, next: noon.Add(time.Second)}
		}),
			"→ starting", time.Second},
		{"web starts before worker", app(worker, web).good(), "start v1-g0-web-1; → starting", 0},
		{"one start at a time", app(web, worker).good().under(opStart, "w-v1-g0-worker-1"), "start v1-g0-worker-1; → starting", 0},
		{"found running", app().good().runs("v1 web 1 presumed"), "→ serving v1-g0-web-1", 0},
		{"half made", app().good().runs("v1 web 1 created"), "start v1-g0-web-1; → starting", 0},
		{"ended, may start", app().good().runs("v1 web 1 exited").crashed("w-v1-g0-web-1", 1, 0), "start v1-g0-web-1; → starting", 0},
		{"ended, backs off", app().good().runs("v1 web 1 exited").crashed("w-v1-g0-web-1", 3, 4*time.Second), "→ down", 4 * time.Second},
		{"one of two ended", app().good().scale("web", 2).runs("v1 web 1 exited", "v1 web 2").crashed("w-v1-g0-web-1", 3, 4*time.Second), "→ serving v1-g0-web-2", 4 * time.Second},
		{"starting again", app().good().runs("v1 web 1 starting"), "→ starting", 20 * time.Second},
		{"one unhealthy of two", app().good().scale("web", 2).runs("v1 web 1 unhealthy", "v1 web 2"), "→ serving v1-g0-web-2", 51 * time.Second},
		{"all unhealthy", app().good().scale("web", 2).runs("v1 web 1 unhealthy", "v1 web 2 unhealthy"), "→ serving v1-g0-web-1 v1-g0-web-2", 51 * time.Second},
		{"never answered since it was started again", app().good().runs("v1 web 1 hanging"), "→ serving v1-g0-web-1", 30 * time.Second},
		{"unhealthy for long", app().good().scale("web", 2).runs("v1 web 1 unhealthy", "v1 web 2").with(func(s *sketch) {
			h := s.mem.health["w-v1-g0-web-1"]
			h.since = noon.Add(-time.Minute)
			s.mem.health["w-v1-g0-web-1"] = h
		}), "retire v1-g0-web-1; → serving v1-g0-web-2", 0},
		{"both for long: one first", app().good().scale("web", 2).runs("v1 web 1 unhealthy", "v1 web 2 unhealthy").with(func(s *sketch) {
			for name, h := range s.mem.health {
				h.since = noon.Add(-time.Hour)
				s.mem.health[name] = h
			}
		}), "retire v1-g0-web-1; → serving v1-g0-web-1 v1-g0-web-2", 0},
		{"unhealthy for long, the other is not up", app().good().scale("web", 2).runs("v1 web 1 unhealthy", "v1 web 2 exited").crashed("w-v1-g0-web-2", 2, time.Second).
			with(func(s *sketch) {
				h := s.mem.health["w-v1-g0-web-1"]
				h.since = noon.Add(-time.Hour)
				s.mem.health["w-v1-g0-web-1"] = h
			}), "→ serving v1-g0-web-1", time.Second},
		{"scale up", app().good().scale("web", 3).runs("v1 web 1"), "start v1-g0-web-2; → serving v1-g0-web-1", 0},
		{"scale down", app().good().scale("web", 1).runs("v1 web 1", "v1 web 2", "v1 web 3"), "retire v1-g0-web-2; retire v1-g0-web-3; → serving v1-g0-web-1", 0},
		{"scale down to one that is ill", app().good().scale("web", 1).runs("v1 web 1 unhealthy", "v1 web 2"), "→ serving v1-g0-web-2", 51 * time.Second},
		{"scale down to one that is not up", app().good().scale("web", 1).runs("v1 web 2"), "start v1-g0-web-1; → serving v1-g0-web-2", 0},
		{"scale to zero", app().good().scale("web", 0).runs("v1 web 1"), "retire v1-g0-web-1; → stopped", 0},
		{"scaled to zero", app().good().scale("web", 0), "→ stopped", 0},
		{"no web process", app(worker).good().runs("v1 worker 1"), "→ stopped", 0},
		{"wanted again while it drains", app().good().runs("v1 web 1").under(opRetire, "w-v1-g0-web-1"), "→ down", 0},
		{"a stranger", app().good().runs("v1 web 1", "v7 web 1"), "retire v7-g0-web-1; → serving v1-g0-web-1", 0},
		{"a stranger being started", app().good().runs("v1 web 1", "v7 web 1 created").under(opStart, "w-v7-g0-web-1"), "→ serving v1-g0-web-1", 0},
		{"a stranger, not written yet", app().good().runs("v1 web 1", "v7 web 1").with(func(s *sketch) { s.mem.durable = false }), "→ serving v1-g0-web-1", 0},
		{"a stranger that could not be removed", app().good().runs("v1 web 1", "v7 web 1").with(func(s *sketch) {
			s.mem.stops["w-v7-g0-web-1"] = failure{err: errors.New("x"), next: noon.Add(time.Second)}
		}), "→ serving v1-g0-web-1", time.Second},
		{"a wanted release without its deploy", app().good().with(func(s *sketch) {
			s.dw.Want, s.dw.Workload.Want = s.release(2, web), model.Target{ReleaseID: "r2"}
		}).runs("v1 web 1"), "→ serving v1-g0-web-1", 0},

		// On the way.
		{"pending: look for the image", app().good().deploy(model.DeployPending).with(noImage).runs("v1 web 1"), "pull r2; → serving v1-g0-web-1", 19 * time.Minute},
		{"no digest: pulling", app().good().deploy(model.DeployPending).with(noDigest).runs("v1 web 1"), "pull r2; → serving v1-g0-web-1; deploy pulling", 20 * time.Minute},
		{"pull fails once", app().good().deploy(model.DeployPulling).with(noDigest).with(func(s *sketch) {
			s.mem.images["r2"] = failure{err: errors.New("x"), count: 1, next: noon.Add(time.Second)}
		}).runs("v1 web 1"), "→ serving v1-g0-web-1", time.Second},
		{"pull fails thrice", app().good().deploy(model.DeployPulling).with(noDigest).with(func(s *sketch) {
			s.mem.images["r2"] = failure{err: errors.New("x"), count: 3, next: noon.Add(time.Second)}
		}).runs("v1 web 1"), "→ serving v1-g0-web-1; deploy rolled_back; back to r1; settled", 0},
		{"pull is refused", app().deploy(model.DeployPulling).with(noDigest).with(func(s *sketch) {
			s.mem.images["r2"] = failure{err: model.NotFound("x"), count: 1, next: noon.Add(time.Second)}
		}), "→ down; deploy failed; back to ; settled", 0},
		{"release process", app().good().deploy(model.DeployPending, web, releaser).runs("v1 web 1"), "release v2-g0-release-1; → serving v1-g0-web-1; deploy releasing", 30 * time.Minute},
		{"release process runs", app().good().deploy(model.DeployReleasing, web, releaser).runs("v1 web 1", "v2 release 1").under(opRelease, "w-v2-g0-release-1"),
			"release v2-g0-release-1; → serving v1-g0-web-1", 30*time.Minute - time.Second},
		{"release process done", app().good().deploy(model.DeployReleasing, web, releaser).runs("v1 web 1", "v2 release 1 done"),
			"start v2-g0-web-1; → serving v1-g0-web-1; deploy starting", 5*time.Minute + 30*time.Second},
		{"release process done and written", app().good().deploy(model.DeployStarting, web, releaser).runs("v1 web 1", "v2 release 1 done"),
			"start v2-g0-web-1; retire v2-g0-release-1; → serving v1-g0-web-1", 5*time.Minute + 29*time.Second},
		{"release process failed", app().good().deploy(model.DeployReleasing, web, releaser).runs("v1 web 1", "v2 release 1 exited"),
			"→ serving v1-g0-web-1; deploy rolled_back; back to r1; settled", 0},
		{"release process lost", app().good().deploy(model.DeployReleasing, web, releaser).runs("v1 web 1", "v2 release 1 lost"),
			"→ serving v1-g0-web-1; deploy rolled_back; back to r1; settled", 0},
		{"release process of an earlier deploy", app().good().deploy(model.DeployReleasing, web, releaser).runs("v1 web 1", "v2 release 1 exited").with(func(s *sketch) {
			c := s.seen["w-v2-g0-release-1"]
			c.CreatedAt = noon.Add(-time.Hour)
			s.seen[c.Name] = c
		}), "release v2-g0-release-1; → serving v1-g0-web-1", 30*time.Minute - time.Second},
		{"restart: no release process", app().good().deploy(model.DeployPending, web, releaser).with(func(s *sketch) { s.dw.Deploy.Kind = model.DeployRestart }).runs("v1 web 1"),
			"start v2-g0-web-1; → serving v1-g0-web-1; deploy starting", 5*time.Minute + 30*time.Second},
		{"starting: what serves first", app().good().deploy(model.DeployStarting), "start v1-g0-web-1; → starting", 5*time.Minute + 29*time.Second},
		{"starting", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1 starting"), "→ serving v1-g0-web-1", 20 * time.Second},
		{"one of two is healthy", app().good().deploy(model.DeployStarting).scale("web", 2).runs("v1 web 1", "v1 web 2", "v2 web 1", "v2 web 2 starting"),
			"→ serving v1-g0-web-1 v1-g0-web-2", 20 * time.Second},
		{"all are healthy", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1"), "→ serving v2-g0-web-1; deploy draining; good r2", 30*time.Minute + 150*time.Second},
		{"all are healthy, nothing before", app().deploy(model.DeployStarting).runs("v2 web 1"), "→ serving v2-g0-web-1; deploy succeeded; good r2; settled", 0},
		{"worker runs for two seconds", app().deploy(model.DeployStarting, web, worker).runs("v2 web 1", "v2 worker 1").with(func(s *sketch) {
			c := s.seen["w-v2-g0-worker-1"]
			c.StartedAt = noon.Add(-2 * time.Second)
			s.seen[c.Name] = c
		}), "→ starting", time.Second},
		{"crashed twice", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1 exited").crashed("w-v2-g0-web-1", 2, time.Second), "→ serving v1-g0-web-1", time.Second},
		{"crashed thrice", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1 exited").crashed("w-v2-g0-web-1", 3, time.Second),
			"→ serving v1-g0-web-1; deploy rolled_back; back to r1; settled", time.Second},
		{"crashed thrice, its log to be read", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1 exited").crashed("w-v2-g0-web-1", 3, time.Second).
			with(func(s *sketch) { s.mem.readLogs = true }), "line v2-g0-web-1; → serving v1-g0-web-1", time.Second},
		{"past its grace", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1 hanging"), "→ serving v1-g0-web-1; deploy rolled_back; back to r1; settled", 0},
		{"past its grace, not asked yet", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1 unasked"), "→ serving v1-g0-web-1", 5*time.Minute + 29*time.Second},
		{"image went missing", app().good().deploy(model.DeployStarting).runs("v1 web 1").with(func(s *sketch) { s.mem.images["r2"] = failure{} }),
			"pull r2; → serving v1-g0-web-1", 20*time.Minute - time.Second},
		{"image is known and not asked for", app().good().deploy(model.DeployPending).runs("v1 web 1").with(func(s *sketch) {
			clear(s.mem.images)
			s.dw.Want.Image.Config = &model.ImageConfig{}
		}), "start v2-g0-web-1; → serving v1-g0-web-1; deploy starting", 5*time.Minute + 30*time.Second},
		{"cannot be started", app().good().deploy(model.DeployStarting).runs("v1 web 1").with(func(s *sketch) {
			s.mem.started("w-v2-g0-web-1", model.Invalid("no command"), noon)
		}), "→ serving v1-g0-web-1; deploy rolled_back; back to r1; settled", time.Second},
		{"containerd did not answer", app().good().deploy(model.DeployStarting).runs("v1 web 1").with(func(s *sketch) {
			s.mem.started("w-v2-g0-web-1", model.Errorf(model.KindUnavailable, "x"), noon)
		}), "→ serving v1-g0-web-1", time.Second},
		{"too long", app().good().deploy(model.DeployStarting).runs("v1 web 1").with(func(s *sketch) { s.dw.Deploy.Phases[0].Began = noon.Add(-time.Hour) }),
			"→ serving v1-g0-web-1; deploy rolled_back; back to r1; settled", 0},
		{"what serves crashes meanwhile", app().good().deploy(model.DeployStarting).runs("v1 web 1 exited", "v2 web 1 starting").crashed("w-v1-g0-web-1", 1, 0),
			"start v1-g0-web-1; → starting", 20 * time.Second},
		{"canceled", app().good().deploy(model.DeployStarting).runs("v1 web 1", "v2 web 1").with(func(s *sketch) { s.dw.Deploy.CancelAsked = true }),
			"→ serving v1-g0-web-1; deploy canceled; back to r1; settled", 0},
		{"canceled too late", app().good().deploy(model.DeployStarting).with(func(s *sketch) {
			s.dw.Deploy.CancelAsked, s.dw.Deploy.State = true, model.DeployDraining
			s.dw.Good, s.dw.Workload.Good = s.dw.Want, s.dw.Workload.Want
		}).runs("v2 web 1"), "→ serving v2-g0-web-1; deploy succeeded; settled", 0},
		{"draining", app().good().deploy(model.DeployDraining).with(func(s *sketch) {
			s.dw.Good, s.dw.Workload.Good = s.dw.Want, s.dw.Workload.Want
		}).runs("v1 web 1", "v2 web 1"), "retire v1-g0-web-1; → serving v2-g0-web-1", 30*time.Minute + 149*time.Second},
		{"superseded: the one between goes", app().good().deploy(model.DeployPending).with(func(s *sketch) {
			s.dw.Want = s.release(3, web)
			s.dw.Workload.Want.ReleaseID = "r3"
		}).runs("v1 web 1", "v2 web 1"), "start v3-g0-web-1; → serving v1-g0-web-1; deploy starting", 5*time.Minute + 30*time.Second},
		{"superseded and written", app().good().deploy(model.DeployStarting).with(func(s *sketch) {
			s.dw.Want = s.release(3, web)
			s.dw.Workload.Want.ReleaseID = "r3"
		}).runs("v1 web 1", "v2 web 1"), "start v3-g0-web-1; retire v2-g0-web-1; → serving v1-g0-web-1", 5*time.Minute + 29*time.Second},
		{"back to what serves", app().good().deploy(model.DeployPending).with(func(s *sketch) {
			s.dw.Want, s.dw.Workload.Want = s.dw.Good, s.dw.Workload.Good
		}).runs("v1 web 1", "v2 web 1"), "→ serving v1-g0-web-1; deploy draining; good r1", 30*time.Minute + 150*time.Second},
		{"scaled to zero: nothing to try", app().good().deploy(model.DeployPending).scale("web", 0), "→ stopped; deploy succeeded; good r2; settled", 0},

		// Nobody's.
		{"nobody's", app().runs("v1 web 1").with(func(s *sketch) { s.dw, s.mem.readAt = model.DesiredWorkload{}, noon }), "retire v1-g0-web-1", 0},
		{"nobody's yet", app().runs("v1 web 1").with(func(s *sketch) { s.dw, s.mem.readAt = model.DesiredWorkload{}, noon.Add(-time.Minute) }), "", 0},

		// Deleting.
		{"deleting", app().good().runs("v1 web 1", "v1 web 2 exited").with(deleting), "retire v1-g0-web-1; retire v1-g0-web-2", 0},
		{"deleting while one starts", app().good().under(opStart, "w-v1-g0-web-1").with(deleting), "", 0},
		{"deleting, not sure", app().good().with(deleting).with(func(s *sketch) { s.mem.unsure = 7 }), "", 0},
		{"deleting, no container left", app().good().with(deleting), "forget w", 0},
		{"deleting, nothing left", app().good().with(deleting).with(func(s *sketch) { s.mem.forgot = true }), "removed", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := fmt.Sprintf("%+v %+v", tt.s.dw, tt.s.seen)
			d := tt.s.decide()
			if got := told(d); got != tt.want {
				t.Errorf("decided %q\n     want %q\n%v", got, tt.want, d.update.Deploy)
			}
			var wake time.Duration
			if !d.wake.IsZero() {
				wake = d.wake.Sub(noon)
			}
			if wake != tt.wake {
				t.Errorf("wakes after %s, want %s", wake, tt.wake)
			}
			if after := fmt.Sprintf("%+v %+v", tt.s.dw, tt.s.seen); after != before {
				t.Errorf("the plan changed what it was given:\n%s\n%s", before, after)
			}
			// The same again comes to the same, and nothing new is to be written.
			again := plan(tt.s.dw, tt.s.seen, tt.s.mem, Limits{}.complete(), noon)
			if told(again) != told(d) {
				t.Errorf("decided %q the second time", told(again))
			}
			next := plan(d.desired, tt.s.seen, tt.s.mem, Limits{}.complete(), noon)
			if tt.s.dw.Workload.Deleting || tt.s.dw.Workload.ID == "" {
				return
			}
			if u := next.update; u.Status != nil || intent(&u) {
				t.Errorf("decided again although it was decided: %s %+v", told(next), u.Status)
			}
		})
	}
}

func deleting(s *sketch) { s.dw.Workload.Deleting = true }

func TestStatus(t *testing.T) {
	tests := []struct {
		name     string
		s        *sketch
		state    model.WorkloadState
		replicas string
		problem  string
	}{
		{"runs", app().good().runs("v1 web 1"), model.WorkloadRunning, "healthy", ""},
		{"one of two", app().good().scale("web", 2).runs("v1 web 1", "v1 web 2 unhealthy"), model.WorkloadDegraded, "healthy unhealthy",
			"web of shop does not pass its health check: /up answered 500"},
		{"crashes", app().good().runs("v1 web 1 exited").crashed("w-v1-g0-web-1", 4, time.Minute), model.WorkloadDown, "backoff", "web of shop keeps ending: exited 4 times with code 1"},
		{"stopped", app().good().scale("web", 0), model.WorkloadStopped, "", ""},
		{"first deploy", app().deploy(model.DeployStarting).runs("v2 web 1 starting"), model.WorkloadStarting, "starting", ""},
		{"new", app().with(func(s *sketch) { s.dw.Want = nil }), model.WorkloadNew, "", ""},
		{"old one drains", app().good().runs("v1 web 1", "v7 web 1").under(opRetire, "w-v7-g0-web-1"), model.WorkloadRunning, "healthy draining", ""},
		{"no image", app().good().with(func(s *sketch) {
			s.mem.images["r1"] = failure{err: model.NotFound("no image x"), next: noon.Add(time.Minute)}
		}),
			model.WorkloadStarting, "starting", "web of shop has no image: no image x"},
		{"no start", app().good().with(func(s *sketch) { s.mem.started("w-v1-g0-web-1", errors.New("odd"), noon) }), model.WorkloadDown, "backoff", "web of shop could not be started: odd"},
		{"in staging", app().good().runs("v1 web 1 unhealthy").with(func(s *sketch) { s.dw.Env.Name = "staging" }), model.WorkloadDown, "unhealthy",
			"web of shop in staging does not pass its health check: /up answered 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.s.decide()
			st := d.desired.Status
			var states []string
			for _, r := range st.Replicas {
				states = append(states, string(r.State))
				if r.Since.IsZero() {
					t.Errorf("%s has no beginning", r.Name)
				}
			}
			problem := ""
			if st.Problem != nil {
				problem = st.Problem.Error()
				if st.Problem.Hint == "" {
					t.Error("the problem has no hint")
				}
			}
			if st.State != tt.state || strings.Join(states, " ") != tt.replicas || problem != tt.problem {
				t.Errorf("%s, replicas %q, problem %q", st.State, states, problem)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	var got []time.Duration
	for n := range 12 {
		got = append(got, backoff(n)/time.Second)
	}
	if want := []time.Duration{1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}; !slices.Equal(got, want) {
		t.Errorf("backs off %v s", got)
	}
}

func TestMerge(t *testing.T) {
	good, image := model.Target{ReleaseID: "r"}, model.Image{Digest: "sha256:x"}
	a := &model.WorkloadUpdate{WorkloadID: "w", Status: &model.WorkloadStatus{State: "a"}, ReleaseID: "r", Image: &image, Good: &good}
	b := &model.WorkloadUpdate{WorkloadID: "w", Status: &model.WorkloadStatus{State: "b"}, Settled: "d"}
	m := merge(a, b)
	if m.Status.State != "b" || m.Image != &image || m.ReleaseID != "r" || m.Good != &good || m.Settled != "d" || m.Removed {
		t.Errorf("merged %+v", m)
	}
	if merge(nil, b) != b || merge(a, nil) != a || a.Settled != "" {
		t.Error("merging with nothing changes something")
	}
}
