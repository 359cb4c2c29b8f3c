package runtime

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/log"
	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/network"
)

// Runtime runs containers. Its methods may be called at the same time; those about one container take turns.
type Runtime struct {
	cfg    Config
	id     string
	log    zerolog.Logger
	parts  parts
	engine *engine
	client *containerd.Client
	net    *network.Manager
	groups cgroups
	userns bool

	images  sync.Map     // digest → *image, which never changes
	keeping sync.RWMutex // held to look an image up and note its use; held alone to remove one
	locks   locks        // by container name
	changes signals
	lines   *log.Entry // where containerd's client logs to

	cancel context.CancelFunc
	tasks  sync.WaitGroup
	close  func() error // once
}

// New unpacks what pandabox carries, adopts or starts containerd, and puts back the networks of containers that still
// run. It needs root. ctx bounds the start only.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, model.Errorf(model.KindForbidden, "running containers needs root").WithHint("start pandabox with sudo, or as a service")
	}
	if err := makeDirs(cfg.DataDir, cfg.RunDir, cfg.engineDir(), cfg.volumesDir(), cfg.etcDir(), cfg.fifoDir()); err != nil {
		return nil, err
	}
	// The root of a user namespace is nobody on the box, and has to pass through here to its file system.
	if err := os.Chmod(cfg.RunDir, 0o711); err != nil {
		return nil, fmt.Errorf("opening the way to containers: %w", err)
	}
	lock, err := lockPidFile(cfg.lockFile())
	if errors.Is(err, errLocked) {
		return nil, model.Conflict("another pandabox runs with the data in %s", cfg.DataDir).WithHint("stop it first, or choose another data directory")
	}
	if err != nil {
		return nil, err
	}
	r, err := open(ctx, cfg, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	r.tasks.Go(func() { r.watch(life) })
	return r, nil
}

func open(ctx context.Context, cfg Config, lock *os.File) (*Runtime, error) {
	var err error
	r := &Runtime{cfg: cfg, id: InstanceID(cfg.DataDir), log: cfg.Logger.With().Str("component", "runtime").Logger()}
	if r.parts, err = unpackParts(embedded, cfg.partsDir()); err != nil {
		return nil, err
	}
	r.lines = relay(r.log)
	r.groups = newCgroups("/pandabox-" + r.id)
	r.net, err = network.New(network.Config{
		ID: r.id, Subnet: cfg.Subnet, StateDir: cfg.networkDir(), HostPorts: cfg.HostPorts, Hosted: cfg.Hosted,
		Logger: cfg.Logger.With().Str("component", "network").Logger(),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the network: %w", err)
	}
	if r.engine, err = startEngine(ctx, cfg, r.changes.send); err != nil {
		return nil, errors.Join(err, r.net.Close())
	}
	r.client = r.engine.client
	if err := r.settle(ctx); err != nil {
		return nil, errors.Join(err, r.engine.stop(), r.net.Close())
	}
	r.close = sync.OnceValue(func() error { return errors.Join(r.engine.stop(), r.net.Close(), lock.Close()) })
	return r, nil
}

// settle brings what was found in line: networks back, what nobody can want any more away.
func (r *Runtime) settle(ctx context.Context) error {
	ctx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	if r.userns, err = r.canIsolateUsers(ctx); err != nil {
		return err
	}
	all, err := r.list(ctx)
	if err != nil {
		return err
	}
	var live []network.Attachment
	for _, c := range all {
		if c.Replica.Role == model.RoleOneOff { // its caller is gone
			if err := r.remove(ctx, c.Name, 0); err != nil {
				r.log.Warn().Err(err).Str("container", c.Name).Msg("removing a one-off container of an earlier life")
			}
			continue
		}
		if c.State == model.ContainerRunning {
			live = append(live, network.Attachment{Container: c.Name, EnvID: c.Replica.EnvID, Pid: c.Pid, Aliases: c.aliases})
		}
	}
	if err := r.net.Reconcile(ctx, live); err != nil {
		r.log.Error().Err(err).Msg("putting networks back") // the others serve; reconcile replaces what does not
	}
	r.sweep(ctx, all)
	return nil
}

// Close stops containerd. Containers and their shims live on and serve; the next New finds them. Closing twice is
// closing once.
func (r *Runtime) Close(context.Context) error {
	r.cancel()
	r.tasks.Wait()
	return r.close()
}

// begin waits until containerd answers and returns a context for talking to it.
func (r *Runtime) begin(ctx context.Context) (context.Context, error) {
	if err := r.engine.ready(ctx); err != nil {
		return nil, failure(err, "the container runtime does not answer")
	}
	return log.WithLogger(namespaces.WithNamespace(ctx, namespace), r.lines), nil
}

// SetHealthy says whether a container's names on its network should lead to it.
func (r *Runtime) SetHealthy(name string, healthy bool) { r.net.SetHealthy(name, healthy) }

// locks are mutexes by name.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	ch   chan struct{}
	refs int
}

// take waits for the name's turn. The returned function gives it back.
func (l *locks) take(ctx context.Context, name string) (func(), error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	k := l.held[name]
	if k == nil {
		k = &lock{ch: make(chan struct{}, 1)}
		l.held[name] = k
	}
	k.refs++
	l.mu.Unlock()
	drop := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.refs--; k.refs == 0 {
			delete(l.held, name)
		}
	}
	select {
	case k.ch <- struct{}{}:
		return func() { <-k.ch; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, ctx.Err()
	}
}

// Resolve returns the addresses behind a name of an environment's network, given without .internal, as its containers
// get them; none where nobody has the name.
func (r *Runtime) Resolve(envID, name string) []netip.Addr { return r.net.Resolve(envID, name) }

// EnvironmentOf returns the environment of the container that has an address, "" where none has.
func (r *Runtime) EnvironmentOf(addr netip.Addr) string { return r.net.EnvironmentOf(addr) }

// LogDir returns the directory of a workload's log.
func (r *Runtime) LogDir(workloadID string) string { return r.cfg.logDir(workloadID) }
