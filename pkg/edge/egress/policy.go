package egress

import (
	"net/netip"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// None is the entry of model.Function.Egress that closes everything.
const None = "none"

// Policy says where a function may connect to. The zero value allows public addresses.
type Policy struct {
	none bool
	open []netip.Prefix // besides public addresses
}

// Parse reads model.Function.Egress.
func Parse(entries []string) (Policy, error) {
	var p Policy
	for _, e := range entries {
		if e == None {
			p.none = true
			continue
		}
		if prefix, err := netip.ParsePrefix(e); err == nil {
			p.open = append(p.open, unmapPrefix(prefix.Masked()))
			continue
		}
		a, err := netip.ParseAddr(e)
		if err != nil || a.Zone() != "" {
			return Policy{}, model.Invalid("egress: %q is not an address", e).WithHint(`write "192.168.1.7", "10.1.2.0/24" or "none"`)
		}
		a = a.Unmap()
		p.open = append(p.open, netip.PrefixFrom(a, a.BitLen()))
	}
	return p, nil
}

// Closed tells whether nothing may be reached, internal names included.
func (p Policy) Closed() bool { return p.none }

// Refuses returns why the policy does not allow a connection to to, "" where it does. own tells which addresses are this
// box's own.
func (p Policy) Refuses(to netip.AddrPort, own func(netip.Addr) bool) string {
	if p.none {
		return "the function may reach nothing"
	}
	a := to.Addr().Unmap()
	switch {
	case !a.IsValid():
		return "it has no address"
	case a.Zone() != "":
		return a.String() + " is an address of one network card"
	case a.IsUnspecified() || a.IsMulticast() || a == broadcast:
		return a.String() + " is no address of one machine"
	case to.Port() == 0:
		return "0 is not a port"
	}
	if inner, how := embedded(a); how != "" {
		if !inner.IsValid() {
			return a.String() + " is a form of an IPv4 address that is not allowed"
		}
		if why := p.Refuses(netip.AddrPortFrom(inner, to.Port()), own); why != "" {
			return why + ", and " + a.String() + " is its " + how + " form"
		}
	}
	if p.opens(a) {
		return ""
	}
	if blocked(to.Port()) {
		return "its port is one of another protocol than HTTP"
	}
	if own != nil && own(a) {
		return a.String() + " is an address of this box"
	}
	if kind := special(a); kind != "" {
		return a.String() + " is " + kind
	}
	return ""
}

func (p Policy) opens(a netip.Addr) bool {
	for _, open := range p.open {
		if open.Contains(a) {
			return true
		}
	}
	return false
}

// unmapPrefix brings ::ffff:10.0.0.0/104 into the form in which addresses are judged.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Internal tells whether host is a name of the environment's own network.
func Internal(host string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".internal")
}
