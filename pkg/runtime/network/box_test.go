package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// TestMain runs the tests as the only program of a network of their own, with real bridges, rules and routes that
// nobody else sees.
func TestMain(m *testing.M) {
	const inside = "PANDABOX_TEST_OWN_NETWORK"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("unshare", append([]string{"--net", "--", os.Args[0]}, os.Args[1:]...)...)
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			fmt.Fprintln(os.Stderr, "these tests need root and unshare:", err)
		}
		if err != nil {
			os.Exit(1)
		}
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loopback:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// box is one instance's networks, removed at the end of the test.
type box struct {
	t *testing.T
	m *Manager
	Config
}

func newBox(t *testing.T, id string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, Config: Config{
		ID: id, Subnet: netip.MustParsePrefix("10.87.0.0/16"), StateDir: dir, Grace: time.Nanosecond,
		ResolvConf: filepath.Join(dir, "resolv.conf"), Logger: zerolog.New(zerolog.NewTestWriter(t)),
	}}
	b.resolvers()
	b.start()
	t.Cleanup(func() {
		if err := b.m.Destroy(context.Background()); err != nil {
			t.Errorf("Destroy: %v", err)
		}
		if left := b.leftovers(); left != "" {
			t.Errorf("left behind after Destroy: %s", left)
		}
	})
	return b
}

// start makes the Manager, as the daemon's start does.
func (b *box) start(live ...Attachment) {
	b.t.Helper()
	m, err := New(b.Config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.m = m
	if err := m.Reconcile(b.t.Context(), live); err != nil {
		b.t.Fatalf("Reconcile: %v", err)
	}
}

// resolvers sets what the host's resolv.conf says.
func (b *box) resolvers(addrs ...string) {
	b.t.Helper()
	var conf strings.Builder
	for _, a := range addrs {
		conf.WriteString("nameserver " + a + "\n")
	}
	if err := replaceFile(b.ResolvConf, []byte(conf.String())); err != nil {
		b.t.Fatal(err)
	}
}

// leftovers lists every link and table with the instance's id.
func (b *box) leftovers() string {
	b.t.Helper()
	var out []string
	for _, l := range allLinks(b.t) {
		if strings.Contains(l, b.ID) {
			out = append(out, l)
		}
	}
	c, err := nftables.New()
	if err != nil {
		b.t.Fatal(err)
	}
	tables, err := c.ListTables()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, table := range tables {
		if strings.Contains(table.Name, b.ID) {
			out = append(out, "table "+table.Name)
		}
	}
	return strings.Join(out, ", ")
}

func allLinks(t *testing.T) []string {
	t.Helper()
	links, err := whole(netlink.LinkList)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range links {
		out = append(out, l.Attrs().Name)
	}
	return out
}

// space is a process in a network namespace of its own: the network half of a container, or another machine.
type space struct {
	t    *testing.T
	pid  int
	kill func()
}

func newSpace(t *testing.T, flags ...string) *space {
	t.Helper()
	cmd := exec.Command("unshare", append(append([]string{"--net"}, flags...), "sh", "-c", "echo up; exec sleep 600")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dead := false
	s := &space{t: t, pid: cmd.Process.Pid, kill: func() {
		if !dead {
			dead = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}}
	t.Cleanup(s.kill)
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatalf("starting a namespace: %v", err)
	}
	return s
}

// do runs f inside the namespace. Sockets made there stay there.
func (s *space) do(f func() error) error {
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, err := netns.GetFromPid(s.pid)
		if err == nil {
			err = netns.Set(ns)
			_ = ns.Close()
		}
		if err == nil {
			err = f()
		}
		errs <- err
	}()
	return <-errs
}

// container is a space on an environment's network.
type container struct {
	*space
	Attachment
}

func (b *box) attach(env, name string, aliases ...string) *container {
	b.t.Helper()
	return b.attachSpace(newSpace(b.t), env, name, aliases...)
}

func (b *box) attachSpace(s *space, env, name string, aliases ...string) *container {
	b.t.Helper()
	addr, err := b.m.Attach(b.t.Context(), AttachRequest{EnvID: env, Container: name, Pid: s.pid, Aliases: aliases})
	if err != nil {
		b.t.Fatalf("Attach %s: %v", name, err)
	}
	return &container{space: s, Attachment: Attachment{Container: name, EnvID: env, Pid: s.pid, Addr: addr, Aliases: aliases}}
}

// serve listens in the namespace and tells each caller who it is, seen from there.
func (s *space) serve(addr string) uint16 {
	s.t.Helper()
	var l net.Listener
	err := s.do(func() (err error) {
		l, err = net.Listen("tcp4", addr)
		return err
	})
	if err != nil {
		s.t.Fatalf("listening on %s: %v", addr, err)
	}
	serveOn(s.t, l)
	return portOf(s.t, l)
}

func portOf(t *testing.T, l net.Listener) uint16 {
	t.Helper()
	ap, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return ap.Port()
}

func serveOn(t *testing.T, l net.Listener) {
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			_, _ = io.WriteString(c, host)
			_ = c.Close()
		}
	}()
}

// call connects from the namespace and returns what the other side sees as the caller.
func (s *space) call(to netip.Addr, port uint16) (seen string, err error) {
	err = s.do(func() error {
		c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(to, port).String(), 3*time.Second)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(3 * time.Second))
		b, err := io.ReadAll(c)
		seen = string(b)
		return err
	})
	return seen, err
}

func (c *container) reaches(what string, to netip.Addr, port uint16) {
	c.t.Helper()
	if _, err := c.call(to, port); err != nil {
		c.t.Errorf("%s does not reach %s: %v", c.Container, what, err)
	}
}

// isRefused asserts that the call fails at once: a person should not wait for a forbidden connection.
func (c *container) isRefused(what string, to netip.Addr, port uint16) {
	c.t.Helper()
	_, err := c.call(to, port)
	var timeout net.Error
	if err == nil {
		c.t.Errorf("%s reaches %s", c.Container, what)
	} else if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("%s is not refused but left waiting for %s", c.Container, what)
	}
}

// machine is another machine, on a network that the host is in too.
type machine struct {
	*space
	addr, host netip.Addr
}

// newOutside makes the machine that the host has its default route by.
func newOutside(t *testing.T) *machine {
	t.Helper()
	o := newMachine(t, "uplink", "198.51.100.2", "198.51.100.1")
	link, err := netlink.LinkByName("uplink")
	if err == nil {
		err = netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: o.addr.AsSlice()})
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func newMachine(t *testing.T, link, addr, host string) *machine {
	t.Helper()
	o := &machine{space: newSpace(t), addr: netip.MustParseAddr(addr), host: netip.MustParseAddr(host)}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = link
	attrs.MTU = 1400
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerMTU: 1400, PeerNamespace: netlink.NsPid(o.pid)}))
	t.Cleanup(func() { _ = deleteLink(link) })
	l, err := netlink.LinkByName(link)
	must(err)
	must(netlink.AddrReplace(l, &netlink.Addr{IPNet: ipNet(o.host, 24)}))
	must(netlink.LinkSetUp(l))
	must(o.do(func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err == nil {
			err = netlink.AddrReplace(eth0, &netlink.Addr{IPNet: ipNet(o.addr, 24)})
		}
		if err == nil {
			err = netlink.LinkSetUp(eth0)
		}
		return err
	}))
	return o
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	err := errors.New("not tried")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
