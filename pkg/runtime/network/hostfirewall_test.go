package network

import (
	"os/exec"
	"strings"
	"testing"
)

func TestADroppingHostFirewallIsOpenedForTheBridges(t *testing.T) {
	cases := []struct {
		name   string
		setUp  []string
		chains string // where our rules go
	}{
		{"nothing drops", nil, ""},
		{"docker", []string{"-P FORWARD DROP", "-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-I FORWARD -j DOCKER-USER", "-A FORWARD ! -i docker0 -o docker0 -j DROP"}, "FORWARD FORWARD"},
		{"ufw", []string{"-P FORWARD DROP", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT"}, "INPUT FORWARD FORWARD"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				for _, undo := range []string{"-P FORWARD ACCEPT", "-P INPUT ACCEPT", "-F", "-X"} {
					rule(t, undo)
				}
			})
			for _, r := range c.setUp {
				rule(t, r)
			}
			before := rule(t, "-S")
			o := newOutside(t)
			func() {
				b := newBox(t, "aaaa")
				one := b.attach("env-a", "one", "shop")
				one.reaches("outside", o.addr, o.serve(":0"))
				one.asked(gatewayOf(t, b, "env-a"), "shop.internal.", 1, "NOERROR "+one.Addr.String())
				if c.name == "docker" {
					whale := newMachine(t, "docker0", "172.17.0.2", "172.17.0.1")
					if _, err := one.call(whale.addr, whale.serve(":0")); err == nil {
						t.Error("an app reaches a container of Docker's")
					}
				}
				two := b.attach("env-b", "two")
				one.isRefused("another environment", two.Addr, two.serve(":0"))
				one.isRefused("the control API", o.host, serveAt(t, ":0"))
				if got := ourChains(rule(t, "-S")); got != c.chains {
					t.Errorf("our rules are in %q, want %q", got, c.chains)
				}
				b.restart(one, two)
				b.m.openHostFirewall(t.Context())
				if got := ourChains(rule(t, "-S")); got != c.chains {
					t.Errorf("after a restart our rules are in %q, want %q", got, c.chains)
				}
				if err := b.m.Destroy(t.Context()); err != nil {
					t.Fatal(err)
				}
			}()
			if after := rule(t, "-S"); after != before {
				t.Errorf("after Destroy the host's rules are\n%s\nthey were\n%s", after, before)
			}
		})
	}
}

func rule(t *testing.T, args string) string {
	t.Helper()
	out, err := exec.Command("iptables", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("iptables %s: %v %s", args, err, out)
	}
	return string(out)
}

func ourChains(listing string) string {
	var chains []string
	for line := range strings.Lines(listing) {
		if f := strings.Fields(line); f[0] == "-A" && strings.Contains(line, "pandabox_aaaa") {
			chains = append(chains, f[1])
		}
	}
	return strings.Join(chains, " ")
}
