package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Reconcile makes the kernel and the address book agree with the containers that live, at the daemon's start: bridges,
// rules and names are put back where they are gone, interfaces and bridges of this instance that nobody has are
// removed. A container that lost its interface gets it back with the address it had.
//
// One container that cannot be put back does not keep the others from it; the errors are joined.
func (m *Manager) Reconcile(ctx context.Context, live []Attachment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	known := map[string]bool{}
	for _, a := range live {
		known[a.Container] = true
	}
	for _, a := range m.book.all() {
		if !known[a.Container] {
			m.book.remove(a.Container)
		}
	}
	var errs []error
	bridges := map[string]Bridge{}
	for _, a := range live {
		b, err := m.record(a)
		if err != nil {
			errs = append(errs, fmt.Errorf("network of %s: %w", a.Container, err))
			continue
		}
		bridges[a.EnvID] = b
	}
	m.ruled = false // set the rules once, for all that lives, so that nobody's packets are dropped meanwhile
	if len(bridges) > 0 {
		errs = append(errs, m.bringUp(ctx, bridges))
	}
	for _, a := range m.book.all() {
		if err := m.adopt(a); err != nil {
			errs = append(errs, fmt.Errorf("network of %s: %w", a.Container, err))
		}
	}
	errs = append(errs, m.removeStale(known))
	return errors.Join(errs...)
}

// record puts a living container in the book, and returns its bridge.
func (m *Manager) record(a Attachment) (Bridge, error) {
	b, err := m.assign(a.EnvID)
	if err != nil {
		return Bridge{}, err
	}
	if !a.Addr.IsValid() {
		if a.Addr, err = addrOf(a.Pid); err != nil {
			return Bridge{}, fmt.Errorf("reading its address: %w", err)
		}
	}
	if !b.Prefix.Contains(a.Addr) {
		return Bridge{}, fmt.Errorf("address %s is not of the environment's network %s: the container has to be started again", a.Addr, b.Prefix)
	}
	if old, ok := m.book.get(a.Container); !ok || old.Addr != a.Addr || old.EnvID != a.EnvID { // else it keeps its health
		m.book.put(a)
	}
	return b, nil
}

// adopt joins a container of the book to its bridge where it is not.
func (m *Manager) adopt(a Attachment) error {
	b, ok := m.up[a.EnvID]
	if !ok {
		return errors.New("its environment has no bridge")
	}
	bridge, err := netlink.LinkByName(b.Name)
	if err != nil {
		return err
	}
	veth := m.vethName(a.Container)
	link, err := netlink.LinkByName(veth)
	var missing netlink.LinkNotFoundError
	switch {
	case errors.As(err, &missing):
		ns, err := openNamespace(a.Pid)
		if err != nil {
			return err
		}
		defer func() { _ = ns.Close() }()
		return m.plug(b, a.Container, ns, a.Addr)
	case err != nil:
		return err
	}
	if link.Attrs().MasterIndex != bridge.Attrs().Index { // the bridge was made anew
		if err := netlink.LinkSetMaster(link, bridge); err != nil {
			return fmt.Errorf("joining %s to %s: %w", veth, b.Name, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// removeStale removes interfaces of no living container, and bridges no environment is assigned.
func (m *Manager) removeStale(known map[string]bool) error {
	keep := map[string]bool{}
	for c := range known {
		keep[m.vethName(c)] = true
	}
	for _, a := range m.plan.Environments {
		keep[m.bridge(a).Name] = true
	}
	var errs []error
	for _, prefix := range []string{"pbv" + m.cfg.ID, "pbx" + m.cfg.ID} {
		links, err := m.links(prefix)
		if err != nil {
			return err
		}
		for _, l := range links {
			if !keep[l.Attrs().Name] {
				errs = append(errs, deleteLink(l.Attrs().Name))
			}
		}
	}
	return errors.Join(errs...)
}

// Reclaim removes the networks of environments that are not to be kept, have no container and were not asked for
// within Config.Grace.
func (m *Manager) Reclaim(ctx context.Context, keepEnvs []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep := map[string]bool{}
	for _, e := range keepEnvs {
		keep[e] = true
	}
	for _, a := range m.book.all() {
		keep[a.EnvID] = true
	}
	var errs []error
	changed := false
	for env, a := range m.plan.Environments {
		if keep[env] || time.Since(m.used[env]) < m.cfg.Grace {
			continue
		}
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		if err := m.removeBridge(env, m.bridge(a)); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(m.plan.Environments, env)
		delete(m.used, env)
		changed = true
	}
	if changed {
		errs = append(errs, m.savePlan())
	}
	return errors.Join(errs...)
}

// Destroy removes everything this instance has in the kernel, and its state. The Manager is closed afterwards.
func (m *Manager) Destroy(ctx context.Context) error {
	errs := []error{m.Close()}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.book.all() {
		m.book.remove(a.Container)
	}
	errs = append(errs, m.closeHostFirewall(ctx))
	m.up = map[string]Bridge{}
	m.plan = plan{}
	errs = append(errs, m.removeStale(nil), m.rules.destroy())
	if err := os.Remove(filepath.Join(m.cfg.StateDir, stateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// addrOf reads a container's address from its own namespace.
func addrOf(pid int) (netip.Addr, error) {
	ns, err := openNamespace(pid)
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = ns.Close() }()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return netip.Addr{}, err
	}
	defer h.Close()
	eth0, err := h.LinkByName("eth0")
	if err != nil {
		return netip.Addr{}, err
	}
	addrs, err := h.AddrList(eth0, netlink.FAMILY_V4)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			return ip, nil
		}
	}
	return netip.Addr{}, errors.New("eth0 has no address")
}
