package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestAppsOfOneEnvironmentReachEachOther(t *testing.T) {
	b := newBox(t, "aaaa")
	one, two := b.attach("env-a", "one"), b.attach("env-a", "two")
	port := two.serve(":0")
	if seen, err := one.call(two.Addr, port); err != nil || seen != one.Addr.String() {
		t.Errorf("two is called by %q: %v", seen, err)
	}
	two.reaches("itself", two.Addr, port)
	two.reaches("itself by loopback", netip.MustParseAddr("127.0.0.1"), port)
	c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(two.Addr, port).String(), 5*time.Second)
	if err != nil {
		t.Errorf("the host, where the proxy runs, does not reach two: %v", err)
	} else {
		_ = c.Close()
	}
	if got, ok := b.m.Lookup("two"); !ok || got != two.Addr {
		t.Errorf("Lookup: %v %v", got, ok)
	}
}

func TestEnvironmentsAreIsolated(t *testing.T) {
	b := newBox(t, "aaaa")
	one, two := b.attach("env-a", "one"), b.attach("env-b", "two")
	port := two.serve(":0")
	one.isRefused("an app of another environment", two.Addr, port)

	gateway := gatewayOf(t, b, "env-b")
	serveAt(t, netip.AddrPortFrom(gateway, 0).String())
	one.isRefused("names of another environment", gateway, 53)
	if _, _, err := one.ask(gateway, "two.internal.", 1); err == nil {
		t.Error("one gets an answer from the names of another environment")
	}
}

func TestTheHostIsClosedButForItsPublicPorts(t *testing.T) {
	o := newOutside(t)
	public, api := serveAt(t, ":0"), serveAt(t, ":0")
	b := newBox(t, "aaaa")
	b.restartWith(func(c *Config) { c.HostPorts = []uint16{public} })
	one := b.attach("env-a", "one")
	gateway := gatewayOf(t, b, "env-a")
	other, err := b.m.EnsureEnvironment(t.Context(), "env-b")
	if err != nil {
		t.Fatal(err)
	}
	for what, addr := range map[string]netip.Addr{"the gateway": gateway, "the host": o.host, "another environment's gateway": other.Gateway} {
		one.reaches("the public port at "+what, addr, public)
		one.isRefused("the control API at "+what, addr, api)
	}
}

func TestTheInternetIsReachedInTheHostsName(t *testing.T) {
	o := newOutside(t)
	b := newBox(t, "aaaa")
	one := b.attach("env-a", "one")
	port := o.serve(":0")
	if seen, err := one.call(o.addr, port); err != nil || seen != o.host.String() {
		t.Errorf("outside is called by %q: %v", seen, err)
	}
	one.isRefused("the cloud's metadata", netip.MustParseAddr("169.254.169.254"), 80)

	// A neighbour that sends packets for the apps to the host gets nowhere.
	if err := o.do(func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: o.host.AsSlice(), Dst: ipNet(b.Subnet.Addr(), b.Subnet.Bits())})
	}); err != nil {
		t.Fatal(err)
	}
	inner := one.serve(":0")
	if _, err := o.call(one.Addr, inner); err == nil {
		t.Error("a neighbour reaches an app past the proxy")
	}
	if _, _, err := o.ask(gatewayOf(t, b, "env-a"), "one.internal.", 1); err == nil {
		t.Error("a neighbour gets an answer from the environment's names")
	}
	if link, err := netlink.LinkByName("pbxaaaa1"); err != nil || link.Attrs().MTU != 1400 {
		t.Errorf("the bridge does not have the uplink's MTU: %+v %v", link.Attrs().MTU, err)
	}
}

func TestAPortOfTheHostThatLeadsElsewhereIsClosed(t *testing.T) {
	o := newOutside(t)
	b := newBox(t, "aaaa")
	one := b.attach("env-a", "one")
	port := o.serve(":0")
	for _, args := range []string{"add table ip published", "add chain ip published pre { type nat hook prerouting priority dstnat; }",
		fmt.Sprintf("add rule ip published pre ip daddr %s tcp dport 5432 dnat to %s:%d", o.host, o.addr, port)} {
		if out, err := exec.Command("nft", args).CombinedOutput(); err != nil {
			t.Fatalf("nft %s: %v %s", args, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("nft", "delete table ip published").Run() })
	if _, err := one.call(o.host, 5432); err == nil { // the refusal does not come back through the translation
		t.Error("an app reaches a port of the host that another program leads elsewhere")
	}
	one.reaches("the same by its own address", o.addr, port)
}

func TestAnAppCannotPretendToBeAnother(t *testing.T) {
	b := newBox(t, "aaaa")
	one, two := b.attach("env-a", "one"), b.attach("env-a", "two")
	port := two.serve(":0")
	three := b.attach("env-a", "three")
	one.reaches("two", two.Addr, port)
	if err := b.m.Detach(t.Context(), "three"); err != nil { // its address is free to be stolen
		t.Fatal(err)
	}
	if err := one.do(func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(eth0, &netlink.Addr{IPNet: ipNet(three.Addr, 32)})
	}); err != nil {
		t.Fatal(err)
	}
	err := one.do(func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: three.Addr.AsSlice()}, Timeout: time.Second}
		c, err := d.DialContext(t.Context(), "tcp4", netip.AddrPortFrom(two.Addr, port).String())
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if err == nil {
		t.Error("one called two from an address that is not its own")
	}
	one.reaches("two, still, by its own address", two.Addr, port)
}

func TestAUserNamespaceIsNoObstacle(t *testing.T) {
	b := newBox(t, "aaaa")
	one := b.attachSpace(newSpace(t, "--user", "--map-root-user"), "env-a", "one")
	two := b.attach("env-a", "two")
	two.reaches("one", one.Addr, one.serve(":0"))
}

func TestTheHostsOwnNamespaceIsRefused(t *testing.T) {
	b := newBox(t, "aaaa")
	_, err := b.m.Attach(t.Context(), AttachRequest{EnvID: "env-a", Container: "one", Pid: unix.Getpid()})
	if err == nil {
		t.Error("Attach took the host's own namespace")
	}
}

func TestAttachAgainAndDetachTwice(t *testing.T) {
	b := newBox(t, "aaaa")
	first := b.attach("env-a", "one", "shop")
	second := b.attach("env-a", "one", "shop") // a crash between the two left the first behind
	peer := b.attach("env-a", "peer")
	peer.reaches("the new one", second.Addr, second.serve(":0"))
	if addrs, _ := b.m.book.resolve("env-a", "shop"); len(addrs) != 1 || addrs[0] != second.Addr {
		t.Errorf("shop leads to %v, want only %v and not %v", addrs, second.Addr, first.Addr)
	}
	for range 2 {
		if err := b.m.Detach(t.Context(), "one"); err != nil {
			t.Errorf("Detach: %v", err)
		}
	}
	if _, ok := b.m.Lookup("one"); ok {
		t.Error("Lookup still finds it")
	}
	second.kill() // and of a container that is gone, with its interface
	peer.kill()
	eventually(t, "the interface goes with its namespace", func() error {
		if linkUp(b.m.vethName("peer")) {
			return errors.New("still there")
		}
		return nil
	})
	if err := b.m.Detach(t.Context(), "peer"); err != nil {
		t.Errorf("Detach of a dead container: %v", err)
	}
}

func TestAddressesRunOut(t *testing.T) {
	b := newBox(t, "aaaa")
	b.restartWith(func(c *Config) { c.EnvBits = 29 })
	s := make([]*container, 0, 5)
	for _, name := range []string{"1", "2", "3", "4", "5"} {
		s = append(s, b.attach("env-a", name))
	}
	_, err := b.m.Attach(t.Context(), AttachRequest{EnvID: "env-a", Container: "6", Pid: newSpace(t).pid})
	if err == nil {
		t.Fatal("a /29 gave six addresses")
	}
	if err := b.m.Detach(t.Context(), "3"); err != nil {
		t.Fatal(err)
	}
	if again := b.attach("env-a", "6"); again.Addr != s[2].Addr {
		t.Errorf("got %s, only %s was free", again.Addr, s[2].Addr)
	}
}

func gatewayOf(t *testing.T, b *box, env string) netip.Addr {
	t.Helper()
	br, err := b.m.EnsureEnvironment(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return br.Gateway
}

// restartWith makes the Manager anew with a changed configuration.
func (b *box) restartWith(change func(*Config)) {
	b.t.Helper()
	if err := b.m.Close(); err != nil {
		b.t.Fatal(err)
	}
	change(&b.Config)
	b.start()
}

// serveAt listens on the host.
func serveAt(t *testing.T, addr string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l)
	return portOf(t, l)
}
