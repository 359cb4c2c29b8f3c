package reconcile

import (
	"context"
	"errors"
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

	buildTime time.Duration
	buildErr  error
	unbuilt   int // builds that fail with unavailable before one succeeds
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
	builds     map[string]int // by release id: begun
	building   map[string]bool
	starting   int
	mostStarts int
	starts     map[string]int           // by container
	graces     map[string]time.Duration // of the last removal, by container
	forgotten  map[string]bool
	kept       []model.Keep

	table     map[string]model.Route
	publishes int
	patches   int  // of publishes
	plain     bool // the router knows no patches
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
		builds: map[string]int{}, building: map[string]bool{}, starts: map[string]int{}, graces: map[string]time.Duration{}, forgotten: map[string]bool{}, table: map[string]model.Route{}, inflight: map[string]int{}, nextPid: 100, nextAddr: 1,
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
	_ Builder = (*session)(nil)
	_ Router  = (*session)(nil)
	_ Environ = (*session)(nil)
	_ Prober  = (*session)(nil)
)

var errDead = errors.New("the daemon was killed")

// boot starts a daemon.
func (w *world) boot(t *testing.T, change ...func(*Config)) *session {
	t.Helper()
	s := &session{world: w, dead: make(chan struct{}), done: make(chan error, 1)}
	cfg := Config{State: s, Runtime: s, Images: s, Router: s, Environ: s, Builder: s, Prober: s, LastLogLine: func(_ context.Context, name string) string { return "PORT is not set" }}
	if w.plain {
		cfg.Router = struct{ Router }{s}
	}
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
