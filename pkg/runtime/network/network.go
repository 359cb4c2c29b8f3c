// Package network gives every environment of one box a private IPv4 network: a bridge, addresses, names and rules,
// made directly through netlink and nftables.
//
// What lives in the kernel keeps working while the daemon is away; only names (the DNS servers on the bridges'
// gateways) end with the process and come back with it. Everything made here carries the instance's id in its name,
// and nothing else is ever touched: bridges pbxIDn, veths pbvIDhash, the nftables tables "inet pandabox_ID" and
// "bridge pandabox_ID", and, where the host's own firewall would drop forwarded packets, iptables rules with the
// comment pandabox_ID.
package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Config is what a Manager needs. ID and StateDir are required.
type Config struct {
	ID       string       // four characters a–z, 0–9, unlike any other instance's on the box
	Subnet   netip.Prefix // where environments get their networks from; default 10.87.0.0/16
	EnvBits  int          // length of one environment's prefix; default 24, which is 253 containers
	StateDir string       // holds network.json; made if missing
	// HostPorts are the TCP ports of the host that containers may reach (and the same UDP ports, for HTTP/3);
	// default 80 and 443, so that an app can call its own public URL.
	HostPorts []uint16
	// Hosted tells whether the host itself answers for a name of an environment that no container has: such a name leads to
	// the gateway. It must not block; nil: for none.
	Hosted     func(ctx context.Context, envID, name string) bool
	ResolvConf string        // the host's resolvers; default /etc/resolv.conf
	Grace      time.Duration // Reclaim leaves environments alone that were asked for within it; default 1 minute
	Logger     zerolog.Logger
}

// Bridge is an environment's network.
type Bridge struct {
	Name    string
	Gateway netip.Addr   // the host's address on it; names are answered there
	Prefix  netip.Prefix // masked
}

// Attachment is a container on an environment's network.
type Attachment struct {
	Container string
	EnvID     string
	Pid       int        // any process in the container's network namespace
	Addr      netip.Addr // invalid where it is not known: it is read from the container
	Aliases   []string   // "shop", "web.shop": answered as shop.internal and web.shop.internal
}

// Manager owns the networks of one instance. Its methods may be called at the same time.
type Manager struct {
	cfg   Config
	log   zerolog.Logger
	book  *book
	rules *rules
	names *nameservers

	mu     sync.Mutex // guards what follows, and every change in the kernel
	plan   plan
	used   map[string]time.Time // when an environment was last asked for
	up     map[string]Bridge    // environments whose bridge this process made or found
	next   uint32               // where the search for a free address goes on
	ruled  bool                 // the rules in the kernel are of this process
	watch  sync.Once            // starts guard, with the first bridge
	closed bool

	cancel context.CancelFunc // ends guard
	done   sync.WaitGroup     // of guard
}

var errClosed = errors.New("the network manager is closed")

var idForm = regexp.MustCompile(`^[a-z0-9]{4}$`)

const (
	stateFile  = "network.json"
	guardEvery = 10 * time.Second
	// Looking at the host's own firewall costs a process each time.
	hostFirewallEvery = 6 // times guardEvery
)

// New loads which environment has which network. It changes nothing in the kernel: Reconcile does, and should be called
// next.
func New(cfg Config) (*Manager, error) {
	if !idForm.MatchString(cfg.ID) {
		return nil, fmt.Errorf("network: instance id %q is not four characters of a-z and 0-9", cfg.ID)
	}
	if !cfg.Subnet.IsValid() {
		cfg.Subnet = netip.MustParsePrefix("10.87.0.0/16")
	}
	if cfg.EnvBits == 0 {
		cfg.EnvBits = 24
	}
	if !cfg.Subnet.Addr().Is4() || cfg.EnvBits < cfg.Subnet.Bits() || cfg.EnvBits > 29 {
		return nil, fmt.Errorf("network: no /%d networks fit into %s: choose an IPv4 subnet and a length of %d to 29", cfg.EnvBits, cfg.Subnet, cfg.Subnet.Bits())
	}
	if cfg.HostPorts == nil {
		cfg.HostPorts = []uint16{80, 443}
	}
	if cfg.ResolvConf == "" {
		cfg.ResolvConf = "/etc/resolv.conf"
	}
	if cfg.Grace == 0 {
		cfg.Grace = time.Minute
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the network's state directory: %w", err)
	}
	p, err := loadPlan(filepath.Join(cfg.StateDir, stateFile))
	if err != nil {
		return nil, err
	}
	book := newBook()
	return &Manager{
		cfg: cfg, log: cfg.Logger, book: book, plan: p,
		rules:  newRules(cfg.ID, cfg.EnvBits, cfg.HostPorts),
		names:  newNameservers(book, newForwarder(cfg.ResolvConf), cfg.Hosted, cfg.Logger),
		used:   map[string]time.Time{},
		up:     map[string]Bridge{},
		next:   uint32(time.Now().UnixNano()), // a restart does not hand out the addresses of before at once
		cancel: func() {},
	}, nil
}

// Close stops answering names. Bridges, rules and the containers' traffic stay.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	m.cancel()
	m.mu.Unlock()
	m.done.Wait()
	return m.names.closeAll()
}

// ResolvConf returns the content of /etc/resolv.conf for the environment's containers, nil before EnsureEnvironment.
func (m *Manager) ResolvConf(envID string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.plan.Environments[envID]
	if !ok {
		return nil
	}
	return fmt.Appendf(nil, "nameserver %s\noptions timeout:2 attempts:3\n", m.bridge(a).Gateway)
}
