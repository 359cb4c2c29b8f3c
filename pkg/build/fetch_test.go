//go:build linux

package build

import (
	"net/netip"
	"testing"
)

func TestCheckFetch(t *testing.T) {
	own := []ownNetwork{{netip.MustParsePrefix("192.0.2.7/24"), false}, {netip.MustParsePrefix("2001:db8::7/64"), false}, {netip.MustParsePrefix("10.87.1.1/24"), true}}
	for address, good := range map[string]bool{
		"192.0.2.8:5000": true, "198.51.100.1:443": true, "192.0.2.7:443": true, "192.0.2.7:80": true, "[2001:db8::8]:443": true,
		"192.0.2.7:5000": false, "[::ffff:192.0.2.7]:5000": false, "[2001:db8::7]:22": false, "10.87.1.9:80": false, "10.87.1.1:443": false,
		"127.0.0.1:80": false, "[::1]:443": false, "0.0.0.0:80": false, "169.254.169.254:80": false, "[fe80::1%eth0]:80": false, "224.0.0.1:80": false, "": false,
	} {
		if err := checkFetch(address, own); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
	}
}
