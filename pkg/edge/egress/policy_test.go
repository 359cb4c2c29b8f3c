package egress

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func parse(t interface{ Fatal(...any) }, entries ...string) Policy {
	p, err := Parse(entries)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy(t *testing.T) {
	own := func(a netip.Addr) bool { return a == netip.MustParseAddr("8.8.4.4") }
	for _, test := range []struct {
		to      string
		why     string // part of it; "" allowed
		entries []string
	}{
		{to: "93.184.215.14:443"},
		{to: "[2606:4700::1111]:443"},
		{to: "93.184.215.14:8080"},
		{to: "93.184.215.14:0", why: "not a port"},
		{to: "93.184.215.14:25", why: "another protocol"},
		{to: "93.184.215.14:22", why: "another protocol"},
		{to: "8.8.4.4:443", why: "of this box"},
		{to: "[::ffff:8.8.4.4]:443", why: "of this box"},
		{to: "[64:ff9b::808:404]:443", why: "of this box"},
		{to: "127.0.0.1:80", why: "of this box"},
		{to: "127.255.0.9:80", why: "of this box"},
		{to: "[::1]:80", why: "of this box"},
		{to: "[::ffff:127.0.0.1]:80", why: "of this box"},
		{to: "[::127.0.0.1]:80", why: "not allowed"},
		{to: "0.0.0.0:80", why: "no address of one machine"},
		{to: "[::]:80", why: "no address of one machine"},
		{to: "0.1.2.3:80", why: "reserved"},
		{to: "10.87.0.2:80", why: "private"},
		{to: "172.16.0.1:80", why: "private"},
		{to: "172.31.255.255:80", why: "private"},
		{to: "172.32.0.1:80"},
		{to: "192.168.1.7:80", why: "private"},
		{to: "[fd00::1]:80", why: "private"},
		{to: "[fd00:ec2::254]:80", why: "private"},
		{to: "100.64.0.1:80", why: "provider"},
		{to: "100.100.100.200:80", why: "provider"},
		{to: "100.128.0.1:80"},
		{to: "169.254.169.254:80", why: "metadata"},
		{to: "[fe80::1]:80", why: "link-local"},
		{to: "[fe80::1%eth0]:80", why: "one network card"},
		{to: "[2606:4700::1111%eth0]:80", why: "one network card"},
		{to: "168.63.129.16:80", why: "metadata"},
		{to: "192.0.0.192:80", why: "metadata"},
		{to: "224.0.0.1:80", why: "no address of one machine"},
		{to: "[ff02::1]:80", why: "no address of one machine"},
		{to: "240.0.0.1:80", why: "reserved"},
		{to: "255.255.255.255:80", why: "no address of one machine"},
		{to: "198.18.0.1:80", why: "reserved"},
		{to: "203.0.113.5:80", why: "examples"},
		{to: "[2001:db8::1]:80", why: "examples"},
		{to: "[64:ff9b::7f00:1]:80", why: "NAT64"},
		{to: "[64:ff9b::a9fe:a9fe]:80", why: "NAT64"},
		{to: "[64:ff9b::5db8:d70e]:443"},
		{to: "[64:ff9b:1::1]:80", why: "private"},
		{to: "[2002:7f00:1::]:80", why: "6to4"},
		{to: "[2002:c0a8:101::1]:80", why: "6to4"},
		{to: "[2002:5db8:d70e::1]:443"},
		{to: "[2001:0:1:2::3]:80", why: "not allowed"},
		{to: "[4000::1]:80", why: "given out"},

		{to: "10.1.2.3:80", entries: []string{"10.1.2.0/24"}},
		{to: "10.1.3.3:80", entries: []string{"10.1.2.0/24"}, why: "private"},
		{to: "10.1.2.3:25", entries: []string{"10.1.2.0/24"}},
		{to: "[::ffff:10.1.2.3]:80", entries: []string{"10.1.2.3"}},
		{to: "10.1.2.3:80", entries: []string{"::ffff:10.1.2.0/120"}},
		{to: "[64:ff9b::a01:203]:80", entries: []string{"10.1.2.3"}},
		{to: "127.0.0.1:80", entries: []string{"127.0.0.1"}},
		{to: "8.8.4.4:80", entries: []string{"8.8.4.4"}},
		{to: "224.0.0.1:80", entries: []string{"0.0.0.0/0"}, why: "no address of one machine"},
		{to: "93.184.215.14:443", entries: []string{"none"}, why: "nothing"},
		{to: "10.1.2.3:80", entries: []string{"10.1.2.3", "none"}, why: "nothing"},
	} {
		why := parse(t, test.entries...).Refuses(netip.MustParseAddrPort(test.to), own)
		if test.why == "" && why != "" || !strings.Contains(why, test.why) {
			t.Errorf("%s with %q: %q, wanted %q", test.to, test.entries, why, test.why)
		}
	}
	for _, bad := range []string{"", "localhost", "10.0.0.0/33", "fe80::1%eth0", "10.0.0.1:80", "NONE"} {
		if _, err := Parse([]string{bad}); err == nil {
			t.Errorf("%q was taken for an address", bad)
		}
	}
}

// TestEveryFormOfAnAddressIsJudgedAlike: whichever way an IPv4 address is written in IPv6, it is refused when it would be.
func TestEveryFormOfAnAddressIsJudgedAlike(t *testing.T) {
	inside := []netip.Prefix{}
	for _, p := range []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "224.0.0.0/4", "240.0.0.0/4", "0.0.0.0/8"} {
		inside = append(inside, netip.MustParsePrefix(p))
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		if rapid.Bool().Draw(t, "inside") {
			first := rapid.SampledFrom(inside).Draw(t, "prefix").Addr().As4()
			raw[0], raw[1] = first[0], first[1]|raw[1]&0x0f
		}
		a := netip.AddrFrom4(raw)
		refused := func(p Policy, a netip.Addr) bool { return p.Refuses(netip.AddrPortFrom(a, 443), nil) != "" }
		forms := []netip.Addr{netip.AddrFrom16(a.As16())}
		nat, six := netip.MustParseAddr("64:ff9b::").As16(), netip.MustParseAddr("2002::").As16()
		copy(nat[12:], raw[:])
		copy(six[2:], raw[:])
		copy(six[6:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "rest"))
		forms = append(forms, netip.AddrFrom16(nat), netip.AddrFrom16(six))
		public := parse(t)
		for _, form := range forms {
			if refused(public, form) != refused(public, a) {
				t.Fatalf("%s is refused: %v; %s: %v", a, refused(public, a), form, refused(public, form))
			}
		}
		for _, p := range inside {
			if p.Contains(a) && !refused(public, a) {
				t.Fatalf("%s is allowed", a)
			}
		}
		if !a.IsUnspecified() && !a.IsMulticast() && a != broadcast && refused(parse(t, a.String()), a) {
			t.Fatalf("%s is refused though it is opened", a)
		}
		compatible := [16]byte{}
		copy(compatible[12:], raw[:])
		if !refused(public, netip.AddrFrom16(compatible)) || !refused(public, netip.AddrFrom16(compatible).WithZone("eth0")) {
			t.Fatalf("::%s is allowed", a)
		}
		if !refused(parse(t, None, a.String()), a) {
			t.Fatalf("%s is allowed though everything is closed", a)
		}
	})
}

// TestOnlyGlobalIPv6: what is not of the space that is given out is refused.
func TestOnlyGlobalIPv6(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
		if a.Is4In6() || a.As16()[0]&0xe0 == 0x20 || nat64.Contains(a) {
			return
		}
		if parse(t).Refuses(netip.AddrPortFrom(a, 443), nil) == "" {
			t.Fatalf("%s is allowed", a)
		}
	})
}
