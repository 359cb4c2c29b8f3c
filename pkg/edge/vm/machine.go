//go:build linux

// Package vm runs WASM for the kinds of guest code: it compiles modules with fuel, keeps the compiled code on disk, makes
// instances whose memory is mapped from snapshots, and ends what uses more CPU time, wall time or memory than it may.
//
// A Machine and its Modules and Snapshots may be used from any goroutine. An Instance is for one goroutine at a time.
package vm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/edge/fuel"
)

// WASI is the name under which modules import WASI preview 1. It has arguments, environment, standard streams, clocks and
// random numbers; no files and no network.
const WASI = wasi_snapshot_preview1.ModuleName

// Config is what a Machine needs.
type Config struct {
	// CacheDir keeps modules and compiled native code. Who can write there can run code as the daemon: it is made and kept
	// readable and writable by the owner only.
	CacheDir string
	Logger   *slog.Logger // nil: nothing is logged
	// Idle is how many modules without instances keep their native code in memory; 0 means 8.
	Idle int
	// Spares is how many bodies of closed instances are kept for new ones, up to 2 MB each; 0 means 8.
	Spares int
	// Random is what guests get as random numbers; nil means crypto/rand.
	Random io.Reader
	// Turns bounds how many guests compute for long at once; nil: no bound.
	Turns Turns
}

// Turns are what guests wait for that have computed for a millisecond without a pause, and again after each further one.
// Without them any number of spinning guests would keep the processors from whoever serves.
type Turns interface {
	// Take waits for a turn; false when ctx ended first.
	Take(ctx context.Context) bool
	// Give ends a turn.
	Give()
	// Wanted tells whether anybody waits.
	Wanted() bool
}

// Machine compiles and runs modules.
type Machine struct {
	config  Config
	log     *slog.Logger
	runtime wazero.Runtime
	cache   wazero.CompilationCache
	dir     string // of modules that were rewritten

	mu      sync.Mutex
	hosts   map[string]map[string]fuel.Signature
	modules map[string]*shared
	idle    []*shared // that have native code and no instances, longest first
	spares  []spare   // oldest first
	pagemap int       // /proc/self/pagemap
}

// New starts a Machine.
func New(ctx context.Context, c Config) (*Machine, error) {
	if c.CacheDir == "" {
		return nil, fmt.Errorf("starting the machine of functions: it has no cache directory")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Idle == 0 {
		c.Idle = 8
	}
	if c.Spares == 0 {
		c.Spares = 8
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	m := &Machine{config: c, log: c.Logger, dir: filepath.Join(c.CacheDir, "modules"), hosts: map[string]map[string]fuel.Signature{}, modules: map[string]*shared{}}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache of functions: %w", err)
	}
	if err := os.Chmod(c.CacheDir, 0o700); err != nil {
		return nil, fmt.Errorf("closing the cache of functions to others: %w", err)
	}
	pagemap, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /proc/self/pagemap: %w", err)
	}
	m.pagemap = pagemap
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(c.CacheDir, "native"))
	if err != nil {
		_ = unix.Close(pagemap)
		return nil, fmt.Errorf("opening the cache of compiled functions: %w", err)
	}
	m.cache = cache
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(features).WithCompilationCache(cache).WithDebugInfoEnabled(false))
	wasi := m.runtime.NewHostModuleBuilder(WASI)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(wasi)
	mod, err := wasi.Instantiate(ctx)
	if err != nil {
		_ = m.Close(ctx)
		return nil, fmt.Errorf("starting WASI: %w", err)
	}
	m.hosts[WASI] = map[string]fuel.Signature{}
	for name, f := range mod.ExportedFunctionDefinitions() {
		m.hosts[WASI][name] = fuel.Signature{Params: f.ParamTypes(), Results: f.ResultTypes()}
	}
	if err := m.Register(ctx, fuel.TickModule, meterFuncs()); err != nil {
		_ = m.Close(ctx)
		return nil, err
	}
	return m, nil
}

// Close frees the machine and everything that was made with it.
func (m *Machine) Close(ctx context.Context) error {
	m.mu.Lock()
	spares := m.spares
	m.spares = nil
	m.mu.Unlock()
	m.dropSpares(ctx, spares)
	if err := errors.Join(m.runtime.Close(ctx), m.cache.Close(ctx), unix.Close(m.pagemap)); err != nil {
		return fmt.Errorf("closing the machine of functions: %w", err)
	}
	return nil
}

// features are the proposals that guests may use. Threads and exceptions are not among them: the first would escape the
// meter, the second restores stacks that nobody counts.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst
