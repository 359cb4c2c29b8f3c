package build

import (
	"context"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// Config is what a Builder works with. Everything but Logger, Clock values and Mirrors is needed.
type Config struct {
	DataDir      string   // BuildKit's state goes into its build folder
	RunDir       string   // sockets
	ChildCommand []string // runs ChildMain: {"/usr/bin/pandabox", "buildkitd"}
	Host         Host
	Logger       zerolog.Logger

	Limits   model.Limits        // of all builds together; zero fields mean no limit
	DiskRate int64               // bytes that one build container may read, and write, in a second, where the box can tell; 0 means no limit
	CacheMax int64               // bytes of build cache; 0 means DefaultCacheMax
	FreeMin  int64               // bytes of disk that builds leave free; 0 means DefaultFreeMin
	Deadline time.Duration       // of one build; 0 means DefaultDeadline
	LogMax   int64               // bytes of one build's log; 0 means DefaultLogMax
	Idle     time.Duration       // after which BuildKit is stopped; 0 means DefaultIdle
	Mirrors  map[string][]string // by registry host: asked first
}

// Defaults of Config.
const (
	DefaultCacheMax = 10 << 30
	DefaultFreeMin  = 2 << 30
	DefaultDeadline = 30 * time.Minute
	DefaultLogMax   = 16 << 20
	DefaultIdle     = 30 * time.Second
)

// Host is the box that build containers run on: pandabox's own containerd, its networks and control groups. The
// daemon makes one of pkg/runtime.
type Host interface {
	// Site returns what BuildKit needs to know, with the builds' control group made and bounded by limits.
	Site(ctx context.Context, limits model.Limits) (Site, error)
	// AttachBuild gives the network namespace of a process an interface on the builds' network.
	AttachBuild(ctx context.Context, name string, pid int) error
	// DetachBuild takes it away. None there is no error.
	DetachBuild(ctx context.Context, name string) error
	// KillBuilds ends every process in the builds' control group and removes their containers.
	KillBuilds(ctx context.Context) error
	// DropImages removes the images that BuildKit recorded under names that begin so and that were not adopted.
	DropImages(ctx context.Context, prefix string) error
	// AdoptImage keeps an image that BuildKit recorded under a name, and fills in its digest and configuration.
	AdoptImage(ctx context.Context, name string) (model.Image, error)
}

// Site is where build containers run.
type Site struct {
	Containerd string // its socket
	Mounts     string // the mount namespace it is in, a file of /proc: what BuildKit mounts has to be seen there
	Namespace  string
	Shim, Runc string // absolute paths
	RuncRoot   string
	Cgroup     string     // as runc names it, for the containers below it
	Disk       string     // "MAJOR:MINOR" that DiskRate is for; "": it cannot be bounded
	DNS        netip.Addr // of the builds' network
}

func (c Config) filled() Config {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	set(&c.CacheMax, DefaultCacheMax)
	set(&c.FreeMin, DefaultFreeMin)
	set(&c.LogMax, DefaultLogMax)
	if c.Deadline == 0 {
		c.Deadline = DefaultDeadline
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	return c
}
