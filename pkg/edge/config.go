package edge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Config is what a Host works with. DataDir, KV, Log, Resolve, Seal and Open are required.
type Config struct {
	DataDir string // bundles, functions and compiled code are below it

	// KV returns the key-value store of an environment.
	KV func(envID string) guest.KV
	// Log takes a line of a function's own log. It must not block for long.
	Log func(r model.Replica, stream, text string)
	// Resolve returns where APP.internal and PROCESS.APP.internal of an environment answer. Functions of the environment
	// are found without it.
	Resolve func(ctx context.Context, envID, host string) ([]netip.AddrPort, error)
	// Seal and Open encrypt what is kept of a function's variables.
	Seal, Open func([]byte) ([]byte, error)

	Logger zerolog.Logger
	Now    func() time.Time // nil means time.Now

	// Running is how many calls may use the processor for long at the same time; the others take turns. 0 means one less
	// than there are processors, at least one.
	Running int
	// Idle bounds the bytes of isolates and snapshots that nobody uses; those of the function that was called longest ago
	// go first. What was used within a second stays, up to twice as much in all. It counts the whole linear memory, of
	// which a third or less is resident where it is as the snapshot has it. 0 means DefaultIdle.
	Idle int64
	// IdleTime is after how long an isolate nobody uses is closed; the snapshot goes after ten times that. 0 means
	// DefaultIdleTime.
	IdleTime time.Duration

	// Engines make code ready, in place of the ones that are built in.
	Engines map[model.FunctionRuntime]Engine
}

// Engine makes the code of one runtime ready. Code that cannot run is a *model.Error of KindInvalid.
type Engine interface {
	Open(ctx context.Context, code guest.Code) (guest.Program, error)
}

// Defaults of a Config.
const (
	DefaultIdle     = 256 << 20
	DefaultIdleTime = 30 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" || c.KV == nil || c.Log == nil || c.Resolve == nil || c.Seal == nil || c.Open == nil {
		return c, errors.New("the host of functions needs DataDir, KV, Log, Resolve, Seal and Open")
	}
	abs, err := filepath.Abs(c.DataDir)
	if err != nil {
		return c, fmt.Errorf("finding %s: %w", c.DataDir, err)
	}
	c.DataDir = abs
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Running == 0 {
		c.Running = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.IdleTime == 0 {
		c.IdleTime = DefaultIdleTime
	}
	c.Logger = c.Logger.With().Str("component", "edge").Logger()
	return c, nil
}

func (c Config) bundlesDir() string   { return filepath.Join(c.DataDir, "bundles") }
func (c Config) functionsDir() string { return filepath.Join(c.DataDir, "functions") }

// cacheDir is beside the functions and no name of one: names of replicas do not begin with a dot.
func (c Config) cacheDir() string { return filepath.Join(c.DataDir, "functions", ".cache") }
