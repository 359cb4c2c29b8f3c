package network

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// AttachRequest says which container joins which environment.
type AttachRequest struct {
	EnvID     string
	Container string
	Pid       int // its first process, which has a network namespace of its own
	Aliases   []string
}

// Attach gives the container its interface eth0, an address, the default route and its names. It is called before the
// container's command starts. A half-made attachment of the same container is replaced.
func (m *Manager) Attach(ctx context.Context, req AttachRequest) (netip.Addr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.ensure(ctx, req.EnvID)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("network of environment %s: %w", req.EnvID, err)
	}
	ns, err := openNamespace(req.Pid)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("opening the network namespace of %s: %w", req.Container, err)
	}
	defer func() { _ = ns.Close() }()
	if err := m.detach(req.Container); err != nil {
		return netip.Addr{}, err
	}
	addr, err := m.freeAddr(b)
	if err != nil {
		return netip.Addr{}, err
	}
	if err := m.plug(b, req.Container, ns, addr); err != nil {
		return netip.Addr{}, err
	}
	m.book.put(Attachment{Container: req.Container, EnvID: req.EnvID, Pid: req.Pid, Addr: addr, Aliases: req.Aliases})
	return addr, nil
}

// Detach takes the container off its network. Detaching what is not attached succeeds.
func (m *Manager) Detach(_ context.Context, container string) error {
	m.book.setHealthy(container, false) // others of its names are preferred from now on
	// The kernel takes tens of milliseconds to remove an interface, so nobody else is kept waiting for it.
	if err := deleteLink(m.vethName(container)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.detach(container)
}

// Lookup returns the container's address.
func (m *Manager) Lookup(container string) (netip.Addr, bool) {
	a, ok := m.book.get(container)
	return a.Addr, ok
}

// SetHealthy says whether the container's names should lead to it. While no container of a name is healthy, the name
// leads to all of them. A fresh attachment is not healthy.
func (m *Manager) SetHealthy(container string, healthy bool) { m.book.setHealthy(container, healthy) }

func (m *Manager) detach(container string) error {
	a, ok := m.book.get(container)
	m.book.remove(container)
	if !ok {
		return deleteLink(m.vethName(container))
	}
	return m.unplug(port{m.vethName(container), a.Addr})
}

// plug makes the pair of interfaces and sets both ends up; on failure it leaves nothing behind.
func (m *Manager) plug(b Bridge, container string, ns netns.NsHandle, addr netip.Addr) error {
	bridge, err := netlink.LinkByName(b.Name)
	if err != nil {
		return fmt.Errorf("finding bridge %s: %w", b.Name, err)
	}
	p := port{m.vethName(container), addr}
	if err := m.rules.addPort(p); err != nil {
		if err := m.applyRules(p); err != nil { // the tables may be gone
			return err
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = p.veth
	attrs.MTU = bridge.Attrs().MTU
	attrs.MasterIndex = bridge.Attrs().Index
	err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns)),
		PeerHardwareAddr: hardwareAddr(addr), PeerMTU: uint32(attrs.MTU)})
	if err == nil {
		err = setUpHostEnd(p.veth)
	}
	if err == nil {
		err = setUpContainerEnd(ns, b, addr)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("setting up the interface of %s: %w", container, err), m.unplug(p))
	}
	return nil
}

// unplug undoes plug. What is gone already is no error.
func (m *Manager) unplug(p port) error {
	err := deleteLink(p.veth)
	if len(m.up) > 0 && m.rules.removePort(p) != nil {
		err = errors.Join(err, m.applyRules()) // the tables may be gone
	}
	return err
}

func setUpHostEnd(veth string) error {
	link, err := netlink.LinkByName(veth)
	if err != nil {
		return err
	}
	_ = sysctl("net/ipv6/conf/"+veth+"/disable_ipv6", "1")
	return netlink.LinkSetUp(link)
}

func setUpContainerEnd(ns netns.NsHandle, b Bridge, addr netip.Addr) error {
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("entering the namespace: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err == nil {
		err = h.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	eth0, err := h.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("eth0: %w", err)
	}
	if err := h.AddrReplace(eth0, &netlink.Addr{IPNet: ipNet(addr, b.Prefix.Bits())}); err != nil {
		return fmt.Errorf("address %s: %w", addr, err)
	}
	if err := h.LinkSetUp(eth0); err != nil {
		return fmt.Errorf("bringing eth0 up: %w", err)
	}
	if err := h.RouteReplace(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: b.Gateway.AsSlice()}); err != nil {
		return fmt.Errorf("default route by %s: %w", b.Gateway, err)
	}
	return nil
}

// openNamespace refuses the host's own namespace: a container without one would give its interface to the host.
func openNamespace(pid int) (netns.NsHandle, error) {
	if pid <= 0 {
		return netns.None(), fmt.Errorf("%d is not a process", pid)
	}
	ns, err := netns.GetFromPath(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return netns.None(), err
	}
	own, err := netns.GetFromPath(fmt.Sprintf("/proc/%d/ns/net", os.Getpid()))
	if err != nil {
		_ = ns.Close()
		return netns.None(), err
	}
	defer func() { _ = own.Close() }()
	if ns.Equal(own) {
		_ = ns.Close()
		return netns.None(), fmt.Errorf("process %d has no network namespace of its own", pid)
	}
	return ns, nil
}

// freeAddr goes round the environment's addresses, so that one that was just left is not handed out again at once.
func (m *Manager) freeAddr(b Bridge) (netip.Addr, error) {
	base, size := toUint(b.Prefix.Addr()), uint32(1)<<(32-b.Prefix.Bits())
	usable := size - 3 // without the network, the gateway and the broadcast address
	for range usable {
		a := fromUint(base + 2 + m.next%usable)
		m.next++
		if !m.book.hasAddr(a) {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all %d addresses of %s are in use", usable, b.Prefix)
}

// vethName is the name of the host's end of a container's interface. It follows from the container's name, so that it
// is found again without any record; interface names have at most 15 characters.
func (m *Manager) vethName(container string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(container))
	return fmt.Sprintf("pbv%s%08x", m.cfg.ID, uint32(h.Sum64()>>32^h.Sum64()))
}

// EnvironmentOf returns the environment of the container that has an address, "" where none has.
func (m *Manager) EnvironmentOf(addr netip.Addr) string { return m.book.envOf(addr) }

// Resolve returns the addresses that the environment's name server answers a name with, given without .internal.
func (m *Manager) Resolve(envID, name string) []netip.Addr {
	addrs, _ := m.book.resolve(envID, name)
	return addrs
}
