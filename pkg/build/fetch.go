//go:build linux

package build

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// confineFetches has what BuildKit itself fetches for a build (ADD of an address) reach no more than a step does: BuildKit
// is on the host's network, where the rules for containers do not count.
func confineFetches() {
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		own, err := ownNetworks()
		if err != nil {
			return err
		}
		return checkFetch(address, own)
	}}
	if t, ok := http.DefaultTransport.(*http.Transport); ok { // what BuildKit fetches by
		t.DialContext = d.DialContext
	}
}

// ownNetwork is an address of the box with its network.
type ownNetwork struct {
	netip.Prefix
	apps bool // its network is one of containers
}

// checkFetch refuses an address and port of the box itself, but for its proxy, of apps, and of a cloud's metadata service.
// It comes after the name was resolved, and again for each redirect.
func checkFetch(address string, own []ownNetwork) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	addr := to.Addr().Unmap().WithZone("")
	refused := fmt.Errorf("builds may not reach %s", addr)
	if addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() || addr.IsMulticast() {
		return refused
	}
	for _, n := range own {
		if n.apps && n.Contains(addr) || n.Addr() == addr && to.Port() != 80 && to.Port() != 443 {
			return refused
		}
	}
	return nil
}

// ownNetworks returns the box's addresses. Bridges of containers are known by their names: pandabox's, of any instance.
func ownNetworks() ([]ownNetwork, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []ownNetwork
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			continue // it is gone meanwhile
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				out = append(out, ownNetwork{p, strings.HasPrefix(l.Name, "pbx")})
			}
		}
	}
	return out, nil
}
