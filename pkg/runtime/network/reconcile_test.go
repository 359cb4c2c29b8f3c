package network

import (
	"context"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
)

// restart ends the Manager's part in this process and makes a new one that is told who lives.
func (b *box) restart(live ...*container) {
	b.t.Helper()
	if err := b.m.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.start(attachments(live)...)
}

func attachments(live []*container) []Attachment {
	var out []Attachment
	for _, c := range live {
		out = append(out, c.Attachment)
	}
	return out
}

func TestARestartOfTheDaemonIsNotNoticed(t *testing.T) {
	o := newOutside(t)
	b := newBox(t, "aaaa")
	one, two := b.attach("env-a", "one", "shop"), b.attach("env-b", "two", "api")
	dead := b.attach("env-a", "dead", "shop")
	port, out := one.serve(":0"), o.serve(":0")
	peer := b.attach("env-a", "peer")
	gw := gatewayOf(t, b, "env-a")

	if err := b.m.Close(); err != nil { // as after kill -9: nothing in the kernel was cleaned up
		t.Fatal(err)
	}
	peer.reaches("one, while no daemon runs", one.Addr, port)
	peer.reaches("outside, while no daemon runs", o.addr, out)
	two.isRefused("another environment, while no daemon runs", one.Addr, port)
	if _, _, err := peer.ask(gw, "shop.internal.", dns.TypeA); err == nil {
		t.Error("names are answered while no daemon runs")
	}

	live := []*container{one, two, peer}
	for _, c := range live {
		want := c.Addr
		c.Addr = netip.Addr{} // the new daemon knows it only from the container itself
		defer func() {
			if got, ok := b.m.Lookup(c.Container); !ok || got != want {
				t.Errorf("%s: address %v, want %v", c.Container, got, want)
			}
		}()
	}
	b.start(attachments(live)...)
	one.Addr, _ = b.m.Lookup("one")
	peer.reaches("one", one.Addr, port)
	peer.reaches("outside", o.addr, out)
	two.isRefused("another environment", one.Addr, port)
	peer.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+one.Addr.String())
	if linkUp(b.m.vethName(dead.Container)) {
		t.Error("the interface of a container that is gone is still there")
	}
	fresh := b.attach("env-a", "fresh")
	if fresh.Addr == one.Addr || fresh.Addr == peer.Addr {
		t.Errorf("the address %s is given twice", fresh.Addr)
	}
	peer.reaches("a container attached since", fresh.Addr, fresh.serve(":0"))
}

func TestARebootBringsEveryEnvironmentItsNetworkBack(t *testing.T) {
	b := newBox(t, "aaaa")
	want := map[string]Bridge{}
	for _, env := range []string{"env-c", "env-a", "env-b"} {
		br, err := b.m.EnsureEnvironment(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		want[env] = br
	}
	if err := b.m.Close(); err != nil {
		t.Fatal(err)
	}
	b.wipe()
	b.start()
	for _, env := range []string{"env-a", "env-b", "env-c"} {
		got, err := b.m.EnsureEnvironment(t.Context(), env)
		if err != nil || got != want[env] {
			t.Errorf("%s: %+v %v, want %+v", env, got, err, want[env])
		}
	}
	one, two := b.attach("env-a", "one"), b.attach("env-b", "two")
	one.isRefused("another environment", two.Addr, two.serve(":0"))
}

// wipe removes from the kernel what a reboot, or a careless firewall and a network manager, remove.
func (b *box) wipe() {
	b.t.Helper()
	for _, l := range allLinks(b.t) {
		if strings.HasPrefix(l, "pbx"+b.ID) {
			if err := deleteLink(l); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	if out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		b.t.Fatalf("nft flush ruleset: %v %s", err, out)
	}
}

func TestWhatOthersTookAwayIsPutBack(t *testing.T) {
	b := newBox(t, "aaaa")
	one, two, other := b.attach("env-a", "one", "shop"), b.attach("env-a", "two"), b.attach("env-b", "other")
	port := one.serve(":0")
	b.wipe()
	if _, err := two.call(one.Addr, port); err == nil {
		t.Fatal("the bridge was not removed")
	}
	b.m.repair(t.Context())
	eventually(t, "two reaches one again", func() error { // after its failed attempts have been forgotten
		_, err := two.call(one.Addr, port)
		return err
	})
	two.asked(gatewayOf(t, b, "env-a"), "shop.internal.", dns.TypeA, "NOERROR "+one.Addr.String())
	other.isRefused("another environment", one.Addr, port)

	b.wipe() // and without waiting for the guard
	three := b.attach("env-a", "three")
	three.reaches("itself", three.Addr, three.serve(":0"))
}

func TestReclaimTakesOnlyWhatNobodyNeeds(t *testing.T) {
	b := newBox(t, "aaaa")
	for _, env := range []string{"env-kept", "env-idle"} {
		if _, err := b.m.EnsureEnvironment(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	b.attach("env-used", "one")
	time.Sleep(time.Millisecond) // longer than this box's grace
	if err := b.m.Reclaim(t.Context(), []string{"env-kept"}); err != nil {
		t.Fatal(err)
	}
	for env, want := range map[string]bool{"env-kept": true, "env-used": true, "env-idle": false} {
		_, planned := b.m.plan.Environments[env]
		_, up := b.m.up[env]
		if planned != want || up != want {
			t.Errorf("%s: planned %v, up %v, want %v", env, planned, up, want)
		}
	}
	b.Grace = time.Hour
	b.restart()
	fresh := gatewayOf(t, b, "env-fresh")
	if err := b.m.Reclaim(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := gatewayOf(t, b, "env-fresh"); got != fresh {
		t.Error("an environment just asked for was reclaimed")
	}
}

func TestTwoInstancesDoNotTouchEachOther(t *testing.T) {
	x, y := newBox(t, "xxxx"), newBox(t, "yyyy")
	ax, bx := x.attach("env-a", "one", "shop"), x.attach("env-a", "two")
	ay := y.attach("env-a", "one", "shop")
	port := ax.serve(":0")
	if ax.Addr == ay.Addr {
		t.Fatalf("both have %s", ax.Addr)
	}
	if _, err := ay.call(ax.Addr, port); err == nil {
		t.Error("an app reaches one of another instance")
	}
	gw := gatewayOf(t, y, "env-a")
	ay.asked(gw, "shop.internal.", dns.TypeA, "NOERROR "+ay.Addr.String())
	y.restart() // to y nobody lives: it removes its own interface, and nothing of x
	if linkUp(y.m.vethName("one")) {
		t.Error("y kept the interface of a container that is gone")
	}
	if err := y.m.Destroy(context.Background()); err != nil {
		t.Fatal(err)
	}
	bx.reaches("its neighbour", ax.Addr, port)
}

func TestRoutesOfTheHostAreAvoided(t *testing.T) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "vpn"
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deleteLink("vpn") })
	link, err := netlink.LinkByName("vpn")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(netip.MustParseAddr("10.87.0.9"), 23)}); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, "aaaa")
	b.resolvers("10.87.2.53")
	if gw := gatewayOf(t, b, "env-a"); gw != netip.MustParseAddr("10.87.3.1") {
		t.Errorf("gateway %s: 10.87.0.0/23 is the VPN's and 10.87.2.53 a resolver", gw)
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(netip.MustParseAddr("10.0.0.0"), 8)}); err != nil {
		t.Fatal(err)
	}
	if gw := gatewayOf(t, b, "env-b"); gw != netip.MustParseAddr("172.29.0.1") {
		t.Errorf("gateway %s: all of 10.0.0.0/8 is the VPN's", gw)
	}
	if gw := gatewayOf(t, b, "env-a"); gw != netip.MustParseAddr("10.87.3.1") {
		t.Errorf("gateway %s: an environment keeps its network", gw)
	}
}

func TestABrokenStateFileIsSaid(t *testing.T) {
	b := newBox(t, "aaaa")
	gatewayOf(t, b, "env-a")
	path := filepath.Join(b.StateDir, stateFile)
	if err := replaceFile(path, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := New(b.Config); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("New: %v", err)
	}
}
