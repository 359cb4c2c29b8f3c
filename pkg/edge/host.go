package edge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/egress"
	"github.com/pandabox/pandabox/pkg/model"
)

// Host runs functions. Its methods may be called from any goroutine.
type Host struct {
	cfg     Config
	engines *engines
	box     egress.Box
	bundles bundles
	changes signals
	turns   *turns

	table atomic.Pointer[map[string]*function] // by name; replaced as a whole, under mu
	mu    sync.Mutex
	names locks // one Start or Remove at a time for a name

	held    atomic.Int64  // bytes of idle isolates and of snapshots
	tooMuch chan struct{} // held went over the bound
	opening chan struct{} // a place for each program that is being made ready

	cancel context.CancelFunc
	life   context.Context // of everything that no caller waits for
	tasks  sync.WaitGroup
}

// New reads which functions were started. ctx bounds that; the Host goes on until Close.
func New(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.bundlesDir(), cfg.functionsDir(), cfg.cacheDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the directories of functions: %w", err)
		}
	}
	h := &Host{cfg: cfg, bundles: bundles{dir: cfg.bundlesDir()}, turns: newTurns(cfg.Running), tooMuch: make(chan struct{}, 1), opening: make(chan struct{}, cfg.Running)}
	h.life, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	found, err := h.readAll(ctx)
	if err != nil {
		return nil, err
	}
	h.table.Store(&found)
	h.engines = newEngines(h.life, cfg, h.turns)
	h.tasks.Go(func() { h.reap(h.life) })
	h.tasks.Go(h.warm)
	return h, nil
}

// Close lets requests that run finish until ctx ends, cuts the rest, and frees everything. What was started is on the
// disk and there again after New.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	all := *h.table.Load()
	h.mu.Unlock()
	for _, f := range all {
		f.end()
	}
	for _, f := range all {
		f.drain(ctx)
	}
	h.cancel()
	h.tasks.Wait()
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutTime)
	defer cancel()
	var err error
	for _, f := range all {
		_, ferr := f.drop(clean, always())
		err = errors.Join(err, ferr)
	}
	return errors.Join(err, h.engines.close(clean))
}

// warm starts the engines that functions need, so that the first request after a restart need not wait for them.
func (h *Host) warm() {
	for _, f := range *h.table.Load() {
		if _, err := h.engines.engine(f.spec.Function.Runtime); err != nil {
			h.cfg.Logger.Error().Err(err).Str("runtime", string(f.spec.Function.Runtime)).Msg("an engine of functions does not start")
		}
	}
}

// find returns a function that is started, nil where there is none.
func (h *Host) find(name string) *function { return (*h.table.Load())[name] }

// put puts f into the table, or takes the name out where f is nil.
func (h *Host) put(name string, f *function) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := maps.Clone(*h.table.Load())
	if f == nil {
		delete(next, name)
	} else {
		next[name] = f
	}
	h.table.Store(&next)
}

// internal returns the function that answers for an app's internal name: the one of the environment's that was started
// last. It is asked for each outbound request to such a name only.
func (h *Host) internal(envID, app string) *function {
	var last *function
	for _, f := range *h.table.Load() {
		r := f.spec.Replica
		if r.EnvID == envID && r.App == app && (last == nil || f.started.After(last.started)) {
			last = f
		}
	}
	return last
}

// isKind tells whether err is one for people, of a kind.
func isKind(err error, k model.Kind) bool { return err != nil && model.KindOf(err) == k }

// cutTime bounds how long a call that was cut may take to end. Guests look at their deadline a thousand times a second.
const cutTime = 5 * time.Second
