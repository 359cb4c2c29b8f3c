package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// behaviour is how the containers of a release act.
type behaviour struct {
	boot     time.Duration // until it answers
	exit     int           // code it exits with instead of answering; 0: it does not
	oom      bool          // it is killed for want of memory instead of answering
	dumb     bool          // it never answers
	pullErr  error
	pullTime time.Duration
	startErr error
	flaky    int // starts that fail with unavailable before one succeeds
	release  int // exit code of the release process
}

// world is a model of everything outside the controller: the box's containers, the router and the store. It outlives
// controllers, as the box does.
type world struct {
	mu         sync.Mutex
	workloads  map[string]*model.DesiredWorkload // as stored
	releases   map[string]*model.Release
	deploys    map[string]*model.Deploy
	history    map[string][]model.DeployState
	subs       map[chan struct{}]bool
	diskFull   bool
	records    int
	containers map[string]*fakeContainer
	events     map[chan struct{}]bool
	acts       map[string]behaviour // by release id
	flaked     map[string]int       // by release id: starts that failed
	ill        map[string]time.Time // containers that do not answer, since when
	missing    map[string]bool      // images by digest that somebody took away
	listErr    error
	nextPid    int
	nextDeploy int
	nextAddr   uint32
	pulls      int
	starting   int
	mostStarts int
	starts     map[string]int           // by container
	graces     map[string]time.Duration // of the last removal, by container
	forgotten  map[string]bool
	kept       []model.Keep

	table     map[string]model.Route
	publishes int
	publErr   error
	refused   error          // of a publish that is in force all the same
	inflight  map[string]int // requests by backend
	broken    []string       // promises broken, after what led to it
	story     []string
	session   *session
	fuse      int // operations until the daemon is killed; 0: never
}

type fakeContainer struct {
	model.Container
	spec  model.ContainerSpec
	ready time.Time // answers from then on
}

func newWorld() *world {
	return &world{
		workloads: map[string]*model.DesiredWorkload{}, releases: map[string]*model.Release{}, deploys: map[string]*model.Deploy{},
		history: map[string][]model.DeployState{}, subs: map[chan struct{}]bool{}, containers: map[string]*fakeContainer{},
		events: map[chan struct{}]bool{}, acts: map[string]behaviour{}, flaked: map[string]int{}, ill: map[string]time.Time{},
		starts: map[string]int{}, graces: map[string]time.Duration{}, forgotten: map[string]bool{}, table: map[string]model.Route{}, inflight: map[string]int{}, nextPid: 100, nextAddr: 1,
	}
}

// session is the world as one run of the daemon reaches it. Once killed, nothing it asks for has an effect.
type session struct {
	*world
	dead   chan struct{}
	once   sync.Once
	cancel context.CancelFunc
	done   chan error
	first  bool // the first publish of this run has been seen
	c      *Controller
}

var (
	_ State   = (*session)(nil)
	_ Runtime = (*session)(nil)
	_ Images  = (*session)(nil)
	_ Router  = (*session)(nil)
	_ Environ = (*session)(nil)
	_ Prober  = (*session)(nil)
)

var errDead = errors.New("the daemon was killed")

// boot starts a daemon.
func (w *world) boot(t *testing.T, change ...func(*Config)) *session {
	t.Helper()
	s := &session{world: w, dead: make(chan struct{}), done: make(chan error, 1)}
	cfg := Config{State: s, Runtime: s, Images: s, Router: s, Environ: s, Prober: s, LastLogLine: func(_ context.Context, name string) string { return "PORT is not set" }}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.c = c
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	w.mu.Lock()
	w.session = s
	w.tell("booted")
	w.table = map[string]model.Route{}
	w.mu.Unlock()
	go func() { s.done <- c.Run(ctx) }()
	return s
}

// kill ends the daemon at once and waits for its goroutines.
func (s *session) kill() {
	s.once.Do(func() { close(s.dead) })
	s.cancel()
	if err := <-s.done; err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.tell("killed")
	s.table = map[string]model.Route{}
	s.mu.Unlock()
}

// step counts an operation; it is false when the daemon did not live to see it done.
func (s *session) step() bool {
	select {
	case <-s.dead:
		return false
	default:
	}
	if s.fuse > 0 {
		if s.fuse--; s.fuse == 0 {
			s.once.Do(func() { close(s.dead) })
			return false
		}
	}
	return true
}

func (s *session) gone(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.dead:
		<-ctx.Done()
		return errDead
	default:
		return nil
	}
}

func (s *session) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.dead:
		return errDead
	case <-time.After(d):
		return nil
	}
}

// ── state

func (s *session) Desired(ctx context.Context) (model.Desired, error) {
	if err := s.sleep(ctx, 100*time.Microsecond); err != nil {
		return model.Desired{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out model.Desired
	for _, id := range slices.Sorted(maps.Keys(s.workloads)) {
		out.Workloads = append(out.Workloads, s.assemble(id))
	}
	return out, nil
}

func (w *world) assemble(id string) model.DesiredWorkload {
	dw := *w.workloads[id]
	dw.Want, dw.Good, dw.Deploy = w.releases[dw.Workload.Want.ReleaseID], w.releases[dw.Workload.Good.ReleaseID], w.deploys[dw.Workload.DeployID]
	return dw
}

func (s *session) Record(ctx context.Context, updates []model.WorkloadUpdate) error {
	took := 2 * time.Millisecond
	s.mu.Lock()
	if s.diskFull {
		took = time.Second // and a disk that is full is slow
	}
	s.mu.Unlock()
	if err := s.sleep(ctx, took); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.diskFull {
		return model.Errorf(model.KindNoSpace, "the disk is full")
	}
	if !s.step() {
		return errDead
	}
	if s.records++; s.records > 5000 {
		panic(fmt.Sprintf("too many transactions: %+v", updates))
	}
	for _, u := range updates {
		s.tell("record %s deploy %v good %v back %v status %v", u.WorkloadID, u.Deploy, u.Good, u.RollBackTo, u.Status)
		if dw := s.workloads[u.WorkloadID]; dw != nil {
			s.apply(dw, u)
		}
	}
	s.signal()
	return nil
}

// apply does what the store does.
func (w *world) apply(dw *model.DesiredWorkload, u model.WorkloadUpdate) {
	id := dw.Workload.ID
	if u.Removed {
		if dw.Workload.Deleting {
			delete(w.workloads, id)
			maps.DeleteFunc(w.deploys, func(_ string, d *model.Deploy) bool { return d.WorkloadID == id })
			maps.DeleteFunc(w.releases, func(_ string, r *model.Release) bool { return r.WorkloadID == id })
		}
		return
	}
	if r := w.releases[u.ReleaseID]; r != nil && u.Image != nil && r.Image.Digest == "" {
		is := *r
		is.Image = *u.Image
		w.releases[u.ReleaseID] = &is
	}
	if u.Deploy != nil {
		if was := w.deploys[u.Deploy.ID]; was != nil && !was.State.Final() {
			is := *was
			is.State, is.Phases, is.Error, is.FinishedAt = u.Deploy.State, u.Deploy.Phases, u.Deploy.Error, u.Deploy.FinishedAt
			if is.State != was.State && !was.State.CanBecome(is.State) {
				w.broke("deploy %s went from %s to %s", is.ID, was.State, is.State)
			}
			w.deploys[is.ID] = &is
			w.history[is.ID] = append(w.history[is.ID], is.State)
		}
	}
	next := *dw
	if u.Good != nil {
		next.Workload.Good = *u.Good
	}
	speaks := u.Settled
	if u.Deploy != nil {
		speaks = u.Deploy.ID
	}
	if u.RollBackTo != nil && dw.Workload.DeployID == speaks {
		next.Workload.Want, next.Workload.DeployID = *u.RollBackTo, ""
	}
	if u.Settled != "" && next.Workload.DeployID == u.Settled {
		next.Workload.DeployID = ""
	}
	if u.Status != nil {
		next.Status = *u.Status
	}
	w.workloads[id] = &next
}

func (s *session) Keep(context.Context) (model.Keep, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var k model.Keep
	for _, dw := range s.workloads {
		k.Environments = append(k.Environments, dw.Env.ID)
	}
	return k, nil
}

func (w *world) Changed() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs[ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, ch)
	}
}

func (w *world) signal() {
	for ch := range w.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (s *session) Environ(context.Context, string, int) ([]string, error) {
	return []string{"SECRET=opened", "PORT=1"}, nil
}

// ── runtime

func (s *session) List(ctx context.Context) ([]model.Container, error) {
	s.mu.Lock()
	if s.listErr != nil {
		defer s.mu.Unlock()
		return nil, s.listErr
	}
	var out []model.Container
	for _, name := range slices.Sorted(maps.Keys(s.containers)) {
		out = append(out, s.containers[name].Container)
	}
	s.mu.Unlock()
	return out, s.sleep(ctx, time.Millisecond) // what it says is old when it is read
}

func (s *session) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	s.mu.Lock()
	s.starting++
	s.mostStarts = max(s.mostStarts, s.starting)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.starting--
		s.mu.Unlock()
	}()
	if err := s.sleep(ctx, 40*time.Millisecond); err != nil {
		return model.Container{}, err
	}
	s.mu.Lock()
	c := s.containers[spec.Name]
	if c != nil && c.State == model.ContainerRunning {
		defer s.mu.Unlock()
		return c.Container, nil
	}
	if s.missing[spec.Image] {
		defer s.mu.Unlock()
		return model.Container{}, model.NotFound("image %s is not on the box", spec.Image)
	}
	act := s.acts[spec.Replica.ReleaseID]
	if act.startErr != nil {
		defer s.mu.Unlock()
		return model.Container{}, act.startErr
	}
	if s.flaked[spec.Replica.ReleaseID] < act.flaky {
		s.flaked[spec.Replica.ReleaseID]++
		defer s.mu.Unlock()
		return model.Container{}, model.Errorf(model.KindUnavailable, "containerd does not answer")
	}
	if !s.step() {
		s.mu.Unlock()
		return model.Container{}, errDead
	}
	s.containers[spec.Name] = &fakeContainer{spec: spec, Container: model.Container{
		Name: spec.Name, Replica: spec.Replica, State: model.ContainerCreated, CreatedAt: time.Now(),
	}}
	s.mu.Unlock()
	if err := s.sleep(ctx, 40*time.Millisecond); err != nil {
		return model.Container{}, err // half made
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return model.Container{}, errDead
	}
	c = s.containers[spec.Name]
	if c == nil {
		s.broke("%s was removed while it was being started", spec.Name)
		return model.Container{}, errors.New("removed")
	}
	s.nextPid++
	s.nextAddr++
	s.starts[spec.Name]++
	s.tell("started %s", spec.Name)
	c.State, c.Pid, c.StartedAt, c.Addr = model.ContainerRunning, s.nextPid, time.Now(), netip.AddrFrom4([4]byte{10, 0, byte(s.nextAddr >> 8), byte(s.nextAddr)})
	c.ready = c.StartedAt.Add(act.boot)
	if act.dumb {
		c.ready = c.StartedAt.Add(1000 * time.Hour)
	}
	pid := c.Pid
	switch {
	case spec.Replica.Role == model.RoleRelease:
		time.AfterFunc(act.boot+time.Second, func() { s.exit(spec.Name, pid, model.Exit{Code: act.release, Known: true}) })
	case act.exit != 0:
		time.AfterFunc(act.boot, func() { s.exit(spec.Name, pid, model.Exit{Code: act.exit, Known: true}) })
	case act.oom:
		time.AfterFunc(act.boot, func() { s.exit(spec.Name, pid, model.Exit{Code: 137, Known: true, OOM: true}) })
	}
	return c.Container, nil
}

// exit ends a container's process, if it is still that one (0: whichever it is).
func (w *world) exit(name string, pid int, exit model.Exit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.containers[name]
	if c == nil || c.State != model.ContainerRunning || pid != 0 && c.Pid != pid {
		return
	}
	exit.At = time.Now()
	w.tell("%s %s", name, exit)
	c.State, c.Exit, c.Pid, c.Addr = model.ContainerExited, exit, 0, netip.Addr{}
	w.fire()
}

func (w *world) fire() {
	for ch := range w.events {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (s *session) Remove(ctx context.Context, name string, grace time.Duration) error {
	s.mu.Lock()
	c := s.containers[name]
	if c == nil {
		s.mu.Unlock()
		return nil
	}
	dw := s.workloads[c.Replica.WorkloadID]
	if s.routed(name) && s.answers(c) && dw != nil && !dw.Workload.Deleting {
		s.broke("%s was stopped while requests were sent to it", name)
	}
	if s.inflight[name] > 0 {
		s.broke("%s was stopped with %d requests in flight", name, s.inflight[name])
	}
	if !s.step() {
		s.mu.Unlock()
		return errDead
	}
	running := c.State == model.ContainerRunning
	s.graces[name] = grace
	s.mu.Unlock()
	if running {
		if err := s.sleep(ctx, min(grace, 200*time.Millisecond)); err != nil {
			return err
		}
		s.exit(name, 0, model.Exit{Code: 143, Known: true})
	}
	if err := s.sleep(ctx, 20*time.Millisecond); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return errDead
	}
	s.tell("removed %s", name)
	delete(s.containers, name)
	s.fire()
	return nil
}

func (s *session) Wait(ctx context.Context, name string) (model.Exit, error) {
	for {
		s.mu.Lock()
		c := s.containers[name]
		if c == nil {
			s.mu.Unlock()
			return model.Exit{}, model.NotFound("no container %s", name)
		}
		exit, ended := c.Exit, c.State == model.ContainerExited
		s.mu.Unlock()
		if ended {
			return exit, nil
		}
		if err := s.sleep(ctx, 10*time.Millisecond); err != nil {
			return model.Exit{}, err
		}
	}
}

func (s *session) Events(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	s.events[ch] = true
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.events, ch)
		close(ch)
	})
	return ch
}

func (w *world) answers(c *fakeContainer) bool {
	_, ill := w.ill[c.Name]
	return !ill && w.seemsWell(c)
}

// seemsWell tells whether a container answers, as far as probes can have told by now.
func (w *world) seemsWell(c *fakeContainer) bool {
	since, ill := w.ill[c.Name]
	return c.State == model.ContainerRunning && !time.Now().Before(c.ready) && (!ill || time.Since(since) < 40*time.Second)
}

func (s *session) Probe(ctx context.Context, check Check) (string, error) {
	if err := s.sleep(ctx, 200*time.Microsecond); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.containers {
		if c.Addr == check.Addr.Addr() && c.State == model.ContainerRunning {
			if s.answers(c) {
				return "healthy on /up", nil
			}
			return "", errors.New("nothing listens on port 8080")
		}
	}
	return "", errors.New("no route to host")
}

// ── images

func (s *session) Ensure(ctx context.Context, image model.Image, progress func(int, string)) (model.Image, error) {
	s.mu.Lock()
	act := s.acts[image.Ref]
	s.pulls++
	s.mu.Unlock()
	for i := range 4 {
		if err := s.sleep(ctx, act.pullTime/4+time.Millisecond); err != nil {
			return model.Image{}, err
		}
		if act.pullTime > 0 {
			progress(25*(i+1), "4 layers")
		}
	}
	if act.pullErr != nil {
		return model.Image{}, act.pullErr
	}
	image.Digest = "sha256:" + image.Ref
	image.Config = &model.ImageConfig{}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.missing, image.Digest)
	return image, nil
}

func (s *session) Reclaim(_ context.Context, keep model.Keep) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, keep)
	return nil
}

func (s *session) Forget(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return errDead
	}
	for name, c := range s.containers {
		if c.Replica.WorkloadID == id {
			s.broke("the volumes of %s were deleted under %s", id, name)
		}
	}
	s.forgotten[id] = true
	return nil
}

// ── router

func (s *session) Publish(ctx context.Context, routes []model.Route) error {
	if err := s.gone(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publErr != nil {
		return s.publErr
	}
	if !s.step() {
		return errDead
	}
	next := make(map[string]model.Route, len(routes))
	for _, r := range routes {
		if _, twice := next[r.Host]; twice {
			s.broke("%s is routed twice", r.Host)
		}
		next[r.Host] = r
	}
	s.publishes++
	s.check(next)
	s.first = true
	s.table = next
	s.tell("publish %v", next)
	return s.refused
}

// check holds the promise of no gap: a host with a backend that answers keeps one, unless somebody asked otherwise or
// nothing of the good release answers; and the first table of a daemon has whatever runs.
func (s *session) check(next map[string]model.Route) {
	for _, dw := range s.workloads {
		if dw.Workload.Deleting || dw.Workload.Good.IsZero() || s.withoutWeb(dw) {
			continue
		}
		var alive []string
		for name, c := range s.containers {
			if c.Replica.Target() == dw.Workload.Good && c.Replica.Process == model.ProcessWeb && c.Replica.Role == model.RoleReplica && s.answers(c) {
				alive = append(alive, name)
			}
		}
		for _, d := range dw.Domains {
			had, has := s.answering(s.table[d.Host], s.answers), s.answering(next[d.Host], s.seemsWell)
			switch {
			case has > 0:
			case had > 0 && len(alive) > 0:
				s.broke("%s lost its last backend although %v answer (%s → %s)", d.Host, alive, s.table[d.Host].State, next[d.Host].State)
			case !s.first && len(alive) > 0:
				s.broke("%s has no backend in the first table although %v answer", d.Host, alive)
			}
		}
	}
}

// withoutWeb tells whether a release of the workload may take its web replicas away.
func (w *world) withoutWeb(dw *model.DesiredWorkload) bool {
	for _, r := range w.releases {
		if r.WorkloadID == dw.Workload.ID {
			if web, ok := r.Process(model.ProcessWeb); !ok || web.Scale.Over(dw.Workload.Scale[web.Name]).Count() == 0 {
				return true
			}
		}
	}
	return false
}

func (w *world) answering(r model.Route, well func(*fakeContainer) bool) int {
	n := 0
	for _, b := range r.Backends {
		if c := w.containers[b.Name]; c != nil && well(c) && c.Addr == b.Addr.Addr() {
			n++
		}
	}
	return n
}

func (w *world) routed(name string) bool {
	for _, r := range w.table {
		for _, b := range r.Backends {
			if b.Name == name {
				return true
			}
		}
	}
	return false
}

func (s *session) Drain(ctx context.Context, backends []string) error {
	for {
		s.mu.Lock()
		n := 0
		for _, b := range backends {
			n += s.inflight[b]
		}
		s.mu.Unlock()
		if n == 0 {
			return nil
		}
		if err := s.sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// tell notes what happened, for the report of a promise that was broken.
func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, time.Now().Format("15:04:05.0000 ")+fmt.Sprintf(format, args...))
}

func (w *world) broke(format string, args ...any) {
	if len(w.broken) == 0 {
		w.broken = append(w.broken, w.story[max(0, len(w.story)-60):]...)
	}
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// ── what people do

type release struct {
	act       behaviour
	processes []model.Process
	config    int
}

func webOnly() []model.Process {
	return []model.Process{{Name: model.ProcessWeb, Health: model.HealthCheck{Interval: model.Duration(time.Second)}}}
}

// create makes a workload with one domain.
func (w *world) create(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workloads[id] = &model.DesiredWorkload{
		Workload: model.Workload{ID: id, EnvID: "env-" + id, AppID: "app-" + id},
		App:      model.App{ID: "app-" + id, Name: id}, Env: model.Environment{ID: "env-" + id, Name: "production"},
		Domains: []model.Domain{{Host: id + ".test", WorkloadID: id, TLS: model.TLSOff}},
		Status:  model.WorkloadStatus{WorkloadID: id, State: model.WorkloadNew},
	}
	w.signal()
}

// deploy makes a release and a deploy of it.
func (w *world) deploy(id string, r release) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	next.Workload.LastRelease++
	n := next.Workload.LastRelease
	rid := fmt.Sprintf("%s-r%d", id, n)
	if r.processes == nil {
		r.processes = webOnly()
	}
	w.releases[rid] = &model.Release{ID: rid, WorkloadID: id, Number: n, Image: model.Image{Ref: rid}, Processes: r.processes, ConfigVersion: r.config, CreatedAt: time.Now()}
	w.acts[rid] = r.act
	return w.move(&next, model.DeployRelease, model.Target{ReleaseID: rid})
}

// move writes a deploy to a target.
func (w *world) move(next *model.DesiredWorkload, kind model.DeployKind, to model.Target) *model.Deploy {
	if was := w.deploys[next.Workload.DeployID]; was != nil && !was.State.Final() {
		is := *was
		is.State, is.FinishedAt = model.DeploySuperseded, time.Now()
		w.deploys[is.ID] = &is
	}
	w.nextDeploy++
	d := &model.Deploy{
		ID: fmt.Sprintf("dep-%04d", w.nextDeploy), WorkloadID: next.Workload.ID, Kind: kind, Target: to, From: next.Workload.Good,
		State: model.DeployPending, CreatedAt: time.Now(),
	}
	w.deploys[d.ID] = d
	next.Workload.Want, next.Workload.DeployID = to, d.ID
	w.workloads[next.Workload.ID] = next
	w.signal()
	return d
}

func (w *world) restart(id string) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	if next.Workload.Want.IsZero() {
		return nil
	}
	to := next.Workload.Want
	to.Generation++
	return w.move(&next, model.DeployRestart, to)
}

func (w *world) rollback(id string, to model.Target) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	return w.move(&next, model.DeployRollback, to)
}

func (w *world) change(id string, f func(*model.DesiredWorkload)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.workloads[id]
	f(&next)
	w.workloads[id] = &next
	w.signal()
}

func (w *world) scale(id, process string, n int) {
	w.change(id, func(dw *model.DesiredWorkload) {
		dw.Workload.Scale = maps.Clone(dw.Workload.Scale)
		if dw.Workload.Scale == nil {
			dw.Workload.Scale = map[string]model.Scale{}
		}
		dw.Workload.Scale[process] = model.Scale{Replicas: &n}
	})
}

func (w *world) cancelDeploy(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.deploys[w.workloads[id].Workload.DeployID]; d != nil && !d.State.Final() {
		is := *d
		is.CancelAsked = true
		w.deploys[d.ID] = &is
		w.signal()
	}
}

// ── what can be seen

func (w *world) of(id string) model.DesiredWorkload {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.workloads[id] == nil {
		return model.DesiredWorkload{}
	}
	return w.assemble(id)
}

func (w *world) deployState(d *model.Deploy) *model.Deploy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deploys[d.ID]
}

// up returns the names of all containers, sorted; those not running with their state.
func (w *world) up() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []string{}
	for _, name := range slices.Sorted(maps.Keys(w.containers)) {
		if s := w.containers[name].State; s != model.ContainerRunning {
			name += " " + string(s)
		}
		out = append(out, name)
	}
	return out
}

func (w *world) route(host string) (model.RouteState, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.table[host]
	var names []string
	for _, b := range r.Backends {
		names = append(names, b.Name)
	}
	return r.State, names
}

func (w *world) whole(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.broken {
		t.Error(b)
	}
}

func (w *world) started(container string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.starts[container]
}
