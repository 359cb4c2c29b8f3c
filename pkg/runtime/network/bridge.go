package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// EnsureEnvironment makes the environment's network if it is not there, and returns it. The environment keeps its
// network until Reclaim.
func (m *Manager) EnsureEnvironment(ctx context.Context, envID string) (Bridge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ensure(ctx, envID)
}

func (m *Manager) ensure(ctx context.Context, envID string) (Bridge, error) {
	if err := ctx.Err(); err != nil {
		return Bridge{}, err
	}
	if m.closed {
		return Bridge{}, errClosed
	}
	if b, ok := m.up[envID]; ok && linkUp(b.Name) {
		m.used[envID] = time.Now()
		return b, nil
	}
	b, err := m.assign(envID)
	if err != nil {
		return Bridge{}, err
	}
	if err := m.bringUp(ctx, map[string]Bridge{envID: b}); err != nil {
		return Bridge{}, err
	}
	return b, nil
}

// assign returns the environment's bridge, which need not be there yet.
func (m *Manager) assign(envID string) (Bridge, error) {
	if envID == "" {
		return Bridge{}, errors.New("no environment named")
	}
	m.used[envID] = time.Now()
	if a, ok := m.plan.Environments[envID]; ok {
		return m.bridge(a), nil
	}
	taken, err := m.taken()
	if err != nil {
		return Bridge{}, err
	}
	a, err := m.plan.assign(envID, m.subnets(), m.cfg.EnvBits, taken)
	if err != nil {
		return Bridge{}, err
	}
	if err := m.savePlan(); err != nil {
		delete(m.plan.Environments, envID)
		return Bridge{}, err
	}
	return m.bridge(a), nil
}

// bringUp makes bridges that are not there, and the rules before a bridge can carry anything. A bridge that cannot be
// made does not keep the others from it.
func (m *Manager) bringUp(ctx context.Context, bridges map[string]Bridge) error {
	if !m.ruled {
		if err := enableForwarding(m.log); err != nil {
			return err
		}
	}
	for env, b := range bridges {
		m.up[env] = b
		if m.ruled && m.rules.addBridge(b) != nil {
			m.ruled = false // the tables may be gone
		}
	}
	if !m.ruled {
		if err := m.applyRules(); err != nil {
			return err
		}
		m.openHostFirewall(ctx)
	}
	m.watch.Do(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		m.cancel = cancel
		m.done.Go(func() { m.guard(ctx) })
	})
	var errs []error
	for env, b := range bridges {
		if err := setUpBridge(b); err != nil {
			delete(m.up, env)
			errs = append(errs, err)
			continue
		}
		errs = append(errs, m.serveNames(ctx, env, b))
	}
	return errors.Join(errs...)
}

// serveNames starts the environment's name server unless it runs. That it cannot run is no error: apps may do without.
func (m *Manager) serveNames(ctx context.Context, env string, b Bridge) error {
	if m.names.ensure(ctx, env, b.Gateway) == otherDNSPort {
		return m.rules.redirect(b)
	}
	return nil
}

// applyRules sets the rules for what is up now, and for more ports.
func (m *Manager) applyRules(ports ...port) error {
	bridges := make([]Bridge, 0, len(m.up))
	for _, b := range m.up {
		bridges = append(bridges, b)
	}
	for _, a := range m.book.all() {
		ports = append(ports, port{m.vethName(a.Container), a.Addr})
	}
	guarded, err := m.rules.apply(bridges, ports)
	m.ruled = err == nil
	if err == nil && !guarded {
		m.log.Warn().Msg("this kernel has no packet filter for bridges: apps of one environment could pretend to be each other")
	}
	for env, b := range m.up {
		if err == nil && m.names.port(env) == otherDNSPort {
			err = m.rules.redirect(b)
		}
	}
	return err
}

func setUpBridge(b Bridge) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = b.Name
	attrs.MTU = defaultMTU()
	attrs.HardwareAddr = hardwareAddr(b.Gateway)
	snooping := false
	err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("making bridge %s: %w", b.Name, err)
	}
	link, err := netlink.LinkByName(b.Name)
	if err != nil {
		return fmt.Errorf("finding bridge %s: %w", b.Name, err)
	}
	// Best effort: the rules drop IPv6, and frames with a foreign sender, in any case.
	_ = sysctl("net/ipv6/conf/"+b.Name+"/disable_ipv6", "1")
	_ = sysctl("net/ipv4/conf/"+b.Name+"/rp_filter", "1")
	_ = sysctl("net/ipv4/conf/"+b.Name+"/send_redirects", "0")
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(b.Gateway, b.Prefix.Bits())}); err != nil {
		return fmt.Errorf("giving bridge %s its address %s: %w", b.Name, b.Gateway, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bringing bridge %s up: %w", b.Name, err)
	}
	return nil
}

// removeBridge undoes bringUp. What is gone already is no error.
func (m *Manager) removeBridge(envID string, b Bridge) error {
	redirected := m.names.port(envID) == otherDNSPort
	m.names.remove(envID)
	if err := deleteLink(b.Name); err != nil {
		return err
	}
	if _, ok := m.up[envID]; !ok {
		return nil
	}
	delete(m.up, envID)
	if redirected || m.rules.removeBridge(b) != nil {
		return m.applyRules() // the tables may be gone
	}
	return nil
}

func (m *Manager) bridge(a assignment) Bridge {
	return Bridge{Name: "pbx" + m.cfg.ID + strconv.Itoa(a.Number), Gateway: a.Prefix.Addr().Next(), Prefix: a.Prefix}
}

func (m *Manager) savePlan() error { return m.plan.save(filepath.Join(m.cfg.StateDir, stateFile)) }

// subnets are tried in this order. The ones behind the configured one are for hosts whose own network covers it.
func (m *Manager) subnets() []netip.Prefix {
	return append([]netip.Prefix{m.cfg.Subnet},
		netip.MustParsePrefix("10.87.0.0/16"), netip.MustParsePrefix("10.212.0.0/16"),
		netip.MustParsePrefix("172.29.0.0/16"), netip.MustParsePrefix("192.168.224.0/19"))
}

// taken returns what the host reaches by a route of its own: every route but the default one and our own, and the
// resolvers, which may be reached by the default route.
func (m *Manager) taken() ([]netip.Prefix, error) {
	ours := map[int]bool{}
	links, err := m.links("pbx" + m.cfg.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		ours[l.Attrs().Index] = true
	}
	routes, err := whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("listing the host's routes: %w", err)
	}
	var out []netip.Prefix
	for _, r := range routes {
		if gw, ok := netip.AddrFromSlice(r.Gw.To4()); ok {
			out = append(out, netip.PrefixFrom(gw, 32))
		}
		if r.Dst == nil || ours[r.LinkIndex] {
			continue
		}
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		if ones, _ := r.Dst.Mask.Size(); ok && ones > 0 {
			out = append(out, netip.PrefixFrom(ip, ones).Masked())
		}
	}
	for _, a := range readResolvers(m.cfg.ResolvConf) {
		if ip := a.Addr().Unmap(); ip.Is4() {
			out = append(out, netip.PrefixFrom(ip, 32))
		}
	}
	return out, nil
}

// links returns the host's links whose names begin with prefix.
func (m *Manager) links(prefix string) ([]netlink.Link, error) {
	all, err := whole(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("listing network links: %w", err)
	}
	var out []netlink.Link
	for _, l := range all {
		if strings.HasPrefix(l.Attrs().Name, prefix) {
			out = append(out, l)
		}
	}
	return out, nil
}

// whole asks the kernel for a list again while others change it under the asking. The last answer, or error, is
// returned when that does not end; 20 tries are far more than a busy host needs.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 20 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

func linkUp(name string) bool {
	l, err := netlink.LinkByName(name)
	return err == nil && l.Attrs().Flags&net.FlagUp != 0
}

func deleteLink(name string) error {
	l, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing link %s: %w", name, err)
	}
	return nil
}

// defaultMTU returns the MTU of the link with the default route: a packet an app sends then fits the way out.
func defaultMTU() int {
	const usual = 1500
	routes, err := whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return usual
	}
	for _, r := range routes {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 {
				continue
			}
		}
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil && l.Attrs().MTU >= 1280 && l.Attrs().MTU <= 9216 {
			return l.Attrs().MTU
		}
	}
	return usual
}

func ipNet(a netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, 32)}
}
