package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"
)

// Config is what a Controller works with. The first five ports are required.
type Config struct {
	State   State
	Runtime Runtime
	Images  Images
	Router  Router
	Environ Environ

	Builder Builder         // nil: what has to be built fails
	Prober  Prober          // default: NetProber
	Clock   Clock           // default: the system's
	Logger  *zerolog.Logger // default: none

	// LastLogLine returns the last line a container wrote, "" when there is none. It is used to say why a deploy
	// failed. Optional.
	LastLogLine func(ctx context.Context, container string) string

	Limits Limits
}

// Limits bound what the controller does. A zero field means its default.
type Limits struct {
	Pull    time.Duration // to resolve and fetch an image; 20 min
	Release time.Duration // for the release process to end; 30 min
	Start   time.Duration // for all new replicas to be healthy, besides the health checks' own grace; 5 min
	Drain   time.Duration // for requests in flight to an old replica to end; 30 s
	Remove  time.Duration // for a container to be gone, besides its stop grace; 2 min
	OneOff  time.Duration // age at which a one-off container nobody ended is removed; 24 h
	Resync  time.Duration // between looking at everything again with no cause; 15 s
	Reclaim time.Duration // least time between two reclaims of space; 5 min

	Starts int // containers being started at once; 4
	Pulls  int // images being fetched at once; 2
	Probes int // probes under way at once; 64
}

func (l Limits) complete() Limits {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.Pull, 20 * time.Minute}, {&l.Release, 30 * time.Minute}, {&l.Start, 5 * time.Minute},
		{&l.Drain, 30 * time.Second}, {&l.Remove, 2 * time.Minute}, {&l.OneOff, 24 * time.Hour},
		{&l.Resync, 15 * time.Second}, {&l.Reclaim, 5 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&l.Starts, 4}, {&l.Pulls, 2}, {&l.Probes, 64}} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	return l
}

func (c Config) complete() (Config, error) {
	switch {
	case c.State == nil:
		return c, errors.New("reconcile: Config.State is missing")
	case c.Runtime == nil:
		return c, errors.New("reconcile: Config.Runtime is missing")
	case c.Images == nil:
		return c, errors.New("reconcile: Config.Images is missing")
	case c.Router == nil:
		return c, errors.New("reconcile: Config.Router is missing")
	case c.Environ == nil:
		return c, errors.New("reconcile: Config.Environ is missing")
	}
	if c.Prober == nil {
		c.Prober = NetProber{}
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Logger == nil {
		nop := zerolog.Nop()
		c.Logger = &nop
	}
	c.Limits = c.Limits.complete()
	return c, nil
}
