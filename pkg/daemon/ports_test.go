package daemon

import (
	"slices"
	"testing"
)

func TestAppsMayReachTheProxysPorts(t *testing.T) {
	for _, c := range []struct {
		http, https string
		want        []uint16
	}{
		{":80", ":443", []uint16{80, 443}},
		{"127.0.0.1:8080", "[::1]:https", []uint16{8080, 443}},
		{"127.0.0.1:0", "nonsense", []uint16{}},
	} {
		if got := (Config{HTTPAddr: c.http, HTTPSAddr: c.https}).ports(); !slices.Equal(got, c.want) || got == nil {
			t.Errorf("%s and %s give %v, want %v", c.http, c.https, got, c.want)
		}
	}
}

func TestSSHPort(t *testing.T) {
	for addr, want := range map[string]int{":2222": 2222, "[::1]:ssh": 22, "127.0.0.1:2022": 2022, sshOff: 0, ":nonsense": 0} {
		if got := (Config{SSHAddr: addr}).sshPort(); got != want {
			t.Errorf("%s gives %d, want %d", addr, got, want)
		}
	}
}
