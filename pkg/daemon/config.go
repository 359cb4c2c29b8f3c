package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// Where things are unless a Config says otherwise.
const (
	DefaultConfigFile = "/etc/pandabox/config.toml"
	DefaultDataDir    = "/var/lib/pandabox"
	DefaultRunDir     = "/run/pandabox"
)

// Config is all a daemon can be told. The zero value, completed by New, is a daemon on ports 80 and 443.
type Config struct {
	DataDir    string `toml:"data_dir"`    // everything that lasts; DefaultDataDir
	RunDir     string `toml:"run_dir"`     // sockets and pid files, at most MaxRunDir bytes; DefaultRunDir
	BaseDomain string `toml:"base_domain"` // apps answer on APP.BASE; default: the public address under sslip.io, else pandabox.localhost
	HTTPAddr   string `toml:"http_addr"`   // ":80"
	HTTPSAddr  string `toml:"https_addr"`  // ":443"
	SSHAddr    string `toml:"ssh_addr"`    // git push over SSH; "off" for none. Default: port 2222 beside an HTTPSAddr on port 443, else "off"
	Offline    bool   `toml:"offline"`     // ask no ACME server; certificates come from the box's own CA
	ACME       ACME   `toml:"acme"`
	Subnet     string `toml:"subnet"`     // addresses of apps, a private IPv4 prefix of /16 to /22; "10.87.0.0/16"
	LogFile    string `toml:"log_file"`   // the daemon's own log, kept under 50 MB; "" is standard error
	LogLevel   string `toml:"log_level"`  // debug, info, warn or error; "info"
	AccessLog  bool   `toml:"access_log"` // one log line per request served; off by default

	Build Build `toml:"build"`

	// ChildCommand starts a child of the daemon: a program that calls ChildMain with the arguments behind it. Default: this
	// executable.
	ChildCommand []string `toml:"-"`
	// Logger takes the daemon's log in place of LogFile.
	Logger *zerolog.Logger `toml:"-"`
	// Version is what the daemon says it is.
	Version string `toml:"-"`
}

// Build bounds what builds may use, together, and says where base images come from.
type Build struct {
	Memory   string              `toml:"memory"`    // "4GB"; half of the box's
	CPU      float64             `toml:"cpu"`       // cores; all of the box's but one. Builds never run on the first where there are several
	DiskRate string              `toml:"disk_rate"` // that a build container may read, and write, in a second; "100MB"; "off" for no bound
	Cache    string              `toml:"cache"`     // disk for layers and packages of earlier builds; "10GB"
	Deadline string              `toml:"deadline"`  // of one build; "30m"
	Mirrors  map[string][]string `toml:"mirrors"`   // by registry host, asked first: "docker.io" = ["mirror.example.com"]
}

// ACME says where public certificates come from.
type ACME struct {
	Directory string   `toml:"directory"` // Let's Encrypt
	Email     string   `toml:"email"`
	Roots     []string `toml:"roots"` // PEM files the directory's own certificate is checked against, besides the system's
}

// MaxRunDir is the greatest length of Config.RunDir in bytes: containerd's sockets below it have to fit the 107 bytes
// of a Unix socket's address.
const MaxRunDir = 40

// LoadConfig reads a configuration file. A file that is not there gives the zero Config; an unknown key is refused.
func LoadConfig(file string) (Config, error) {
	var c Config
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	} else if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := toml.NewDecoder(f).DisallowUnknownFields().Decode(&c); err != nil {
		e := model.Invalid("%s cannot be read", file).Wrap(err).WithWhy("%s", err).WithHint("the keys are described in docs/install.md")
		var strict *toml.StrictMissingError
		var decode *toml.DecodeError
		switch {
		case errors.As(err, &strict) && len(strict.Errors) > 0:
			row, col := strict.Errors[0].Position()
			e = e.WithWhy("line %d, column %d: there is no key %q", row, col, strings.Join(strict.Errors[0].Key(), "."))
		case errors.As(err, &decode):
			row, col := decode.Position()
			e = e.WithWhy("line %d, column %d: %s", row, col, decode.Error())
		}
		return c, e
	}
	return c, nil
}

// Socket returns the path of the control socket for a run directory.
func Socket(runDir string) string { return filepath.Join(runDir, "pandabox.sock") }

// complete fills in the defaults and refuses what cannot work.
func (c Config) complete() (Config, error) {
	c.DataDir = orDefault(c.DataDir, DefaultDataDir)
	c.RunDir = orDefault(c.RunDir, DefaultRunDir)
	c.HTTPAddr = orDefault(c.HTTPAddr, ":80")
	c.HTTPSAddr = orDefault(c.HTTPSAddr, ":443")
	c.SSHAddr = orDefault(c.SSHAddr, defaultSSHAddr(c.HTTPSAddr))
	c.Subnet = orDefault(c.Subnet, "10.87.0.0/16")
	c.LogLevel = orDefault(c.LogLevel, "info")
	c.Version = orDefault(c.Version, "unknown")
	for _, dir := range []*string{&c.DataDir, &c.RunDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return c, fmt.Errorf("finding %s: %w", *dir, err)
		}
		*dir = abs
	}
	if len(c.RunDir) > MaxRunDir {
		return c, model.Invalid("run_dir %s is %d bytes long", c.RunDir, len(c.RunDir)).
			WithWhy("Unix sockets below it would pass their limit of 107 bytes").WithHint("choose a directory of at most %d bytes", MaxRunDir)
	}
	if c.ChildCommand == nil {
		self, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("finding this program: %w", err)
		}
		c.ChildCommand = []string{self}
	}
	if _, err := c.Build.config(); err != nil {
		return c, err
	}
	if c.BaseDomain == "" {
		c.BaseDomain = defaultBaseDomain(hostAddrs())
	}
	host, err := model.CheckHost(c.BaseDomain)
	if err != nil {
		return c, err
	}
	c.BaseDomain = host
	for key, addr := range map[string]string{"http_addr": c.HTTPAddr, "https_addr": c.HTTPSAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return c, model.Invalid("%s = %q is not an address", key, addr).WithHint(`write it as ":443" or "127.0.0.1:8443"`)
		}
	}
	if _, _, err := net.SplitHostPort(c.SSHAddr); err != nil && c.SSHAddr != sshOff {
		return c, model.Invalid("ssh_addr = %q is not an address", c.SSHAddr).WithHint(`write it as ":2222" or "127.0.0.1:2222", or "off"`)
	}
	prefix, err := netip.ParsePrefix(c.Subnet)
	if err != nil || !prefix.Addr().Is4() || prefix.Bits() > 22 || prefix.Bits() < 16 || !prefix.Addr().IsPrivate() {
		return c, model.Invalid("subnet = %q cannot be used", c.Subnet).WithHint(`choose a private IPv4 prefix of /16 to /22, like "10.87.0.0/16"`)
	}
	if _, err := zerolog.ParseLevel(c.LogLevel); err != nil {
		return c, model.Invalid("log_level = %q is not known", c.LogLevel).WithHint("choose debug, info, warn or error")
	}
	return c, nil
}

const sshOff = "off"

// defaultSSHAddr is port 2222, since the machine's own sshd has 22, where the box has the usual port for HTTPS too: of two
// boxes on one machine only one can have it.
func defaultSSHAddr(https string) string {
	host, port, err := net.SplitHostPort(https)
	if err != nil || port != "443" && port != "https" {
		return sshOff
	}
	return net.JoinHostPort(host, "2222")
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// hostAddrs returns the addresses of this machine's interfaces.
func hostAddrs() []netip.Addr {
	var out []netip.Addr
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}

// defaultBaseDomain names a box nobody has named: sslip.io resolves 203-0-113-7.sslip.io and every name below it to
// 203.0.113.7, and .localhost always means the machine itself.
func defaultBaseDomain(addrs []netip.Addr) string {
	for _, a := range addrs {
		if a.Is4() && a.IsGlobalUnicast() && !a.IsPrivate() && !special(a) {
			return strings.ReplaceAll(a.String(), ".", "-") + ".sslip.io"
		}
	}
	return "pandabox.localhost"
}

// special tells whether nobody outside can reach a: shared by carriers (RFC 6598), for benchmarks (RFC 2544), or for
// documentation (RFC 5737).
func special(a netip.Addr) bool {
	for _, p := range []string{"100.64.0.0/10", "198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}
