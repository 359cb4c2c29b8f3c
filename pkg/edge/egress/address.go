package egress

import (
	"net/netip"
	"slices"
)

// kinds of addresses that are not public, from the IANA registries of special-purpose addresses (RFC 6890 and what
// updates it), and the metadata services that live on addresses which look public.
func kinds() []kind {
	return []kind{
		{"an address of this box", prefixes("127.0.0.0/8", "::1/128")},
		{"a private address", prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "64:ff9b:1::/48")},
		{"an address between a provider and its customers", prefixes("100.64.0.0/10")},
		{"a link-local address, as metadata services have", prefixes("169.254.0.0/16", "fe80::/10", "fec0::/10")},
		{"the metadata service of a cloud", prefixes("168.63.129.16/32", "192.0.0.192/32")},
		{"a reserved address", prefixes("0.0.0.0/8", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
			"100::/64", "100:0:0:1::/64", "2001::/23", "5f00::/16", "::/96")},
		{"an address of examples", prefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")},
	}
}

type kind struct {
	name string
	in   []netip.Prefix
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// These are read only.
var (
	notPublic = kinds()
	global    = prefixes("2000::/3", "64:ff9b::/96")
	broadcast = netip.MustParseAddr("255.255.255.255")

	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
	compat = netip.MustParsePrefix("::/96")
	teredo = netip.MustParsePrefix("2001::/32")
)

// special returns what an address is that is not public; "" where it is. It takes unmapped addresses.
func special(a netip.Addr) string {
	for _, k := range notPublic {
		for _, p := range k.in {
			if p.Contains(a) {
				return k.name
			}
		}
	}
	if a.Is6() && !slices.ContainsFunc(global, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return "no address that is given out"
	}
	return ""
}

// embedded returns the IPv4 address that an IPv6 address leads to, and the form's name; "" where it leads to none. An
// address that is not valid is a form that is never allowed.
func embedded(a netip.Addr) (inner netip.Addr, form string) {
	if !a.Is6() || a.IsLoopback() {
		return netip.Addr{}, ""
	}
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), "NAT64"
	case sixTo4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), "6to4"
	case compat.Contains(a), teredo.Contains(a):
		return netip.Addr{}, "forbidden"
	}
	return netip.Addr{}, ""
}

// blocked tells whether a port belongs to another protocol, which could be made to believe that a request is its own:
// the bad ports of the Fetch standard.
func blocked(port uint16) bool {
	_, found := slices.BinarySearch(badPorts, port)
	return found
}

var badPorts = []uint16{
	1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111,
	113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548,
	554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566,
	6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
}
