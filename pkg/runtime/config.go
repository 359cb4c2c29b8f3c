package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Defaults of Config.
const (
	DefaultLogMax     = 64 << 20 // bytes per workload
	DefaultImageGrace = time.Hour
	DefaultCheckEvery = 10 * time.Second
)

// maxRunDir keeps shim sockets, RunDir/s, within containerd's 42 characters.
const maxRunDir = 40

// Config says where the runtime lives and what it may use.
type Config struct {
	DataDir      string         // required; absolute
	RunDir       string         // required; absolute, at most 40 characters; may be lost at a reboot
	ChildCommand []string       // runs ChildMain; nil means this executable with the argument "containerd"
	Logger       zerolog.Logger // the zero Logger is silent
	Subnet       netip.Prefix   // environments get networks out of it; zero means 10.87.0.0/16
	// Hosted tells whether the box itself answers for a name of an environment that no container has; nil: for none.
	Hosted     func(ctx context.Context, envID, name string) bool
	HostPorts  []uint16      // of the box, that apps may reach: the proxy's; nil means 80 and 443
	LogMax     int64         // bytes of log kept per workload where ContainerSpec.LogMax is 0; 0 means DefaultLogMax
	ImageGrace time.Duration // how long an unused image is kept after it was imported or pulled; 0 means DefaultImageGrace
	CheckEvery time.Duration // how often containerd is asked whether it lives; after three silences it is killed and started again; 0 means DefaultCheckEvery

	// NoUserNamespaces runs containers as the box's own users. The zero value isolates them wherever the kernel can.
	NoUserNamespaces bool
}

// InstanceID returns the four characters that tell this pandabox from another on the same box; see
// docs/decisions/0001-seams.md.
func InstanceID(dataDir string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(dataDir)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:4]
}

func (c Config) withDefaults() (Config, error) {
	if !filepath.IsAbs(c.DataDir) || !filepath.IsAbs(c.RunDir) {
		return c, fmt.Errorf("checking the runtime's configuration: DataDir %q and RunDir %q must be absolute", c.DataDir, c.RunDir)
	}
	c.DataDir, c.RunDir = filepath.Clean(c.DataDir), filepath.Clean(c.RunDir)
	if len(c.RunDir) > maxRunDir {
		return c, fmt.Errorf("checking the runtime's configuration: RunDir %s is longer than %d characters", c.RunDir, maxRunDir)
	}
	if len(c.ChildCommand) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("finding this executable: %w", err)
		}
		c.ChildCommand = []string{exe, "containerd"}
	}
	if !c.Subnet.IsValid() {
		c.Subnet = netip.MustParsePrefix("10.87.0.0/16")
	}
	if c.LogMax == 0 {
		c.LogMax = DefaultLogMax
	}
	if c.ImageGrace == 0 {
		c.ImageGrace = DefaultImageGrace
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = DefaultCheckEvery
	}
	return c, nil
}

// Paths below DataDir and RunDir.
func (c Config) lockFile() string   { return filepath.Join(c.DataDir, "runtime.pid") }
func (c Config) engineDir() string  { return filepath.Join(c.DataDir, "containerd") }
func (c Config) engineLog() string  { return filepath.Join(c.engineDir(), "containerd.log") }
func (c Config) engineConf() string { return filepath.Join(c.RunDir, "containerd.toml") }
func (c Config) enginePid() string  { return filepath.Join(c.RunDir, "containerd.pid") }
func (c Config) socket() string     { return filepath.Join(c.RunDir, "containerd.sock") }
func (c Config) runcRoot() string   { return filepath.Join(c.RunDir, "runc") }
func (c Config) etcDir() string     { return filepath.Join(c.RunDir, "etc") }
func (c Config) fifoDir() string    { return filepath.Join(c.RunDir, "fifo") }
func (c Config) partsDir() string   { return filepath.Join(c.DataDir, "parts") }
func (c Config) networkDir() string { return filepath.Join(c.DataDir, "network") }
func (c Config) logDir(workloadID string) string {
	return filepath.Join(c.DataDir, "logs", workloadID)
}
func (c Config) volumesDir() string { return filepath.Join(c.DataDir, "volumes") }
func (c Config) volumeDir(workloadID, name string) string {
	return filepath.Join(c.volumesDir(), workloadID, name)
}
