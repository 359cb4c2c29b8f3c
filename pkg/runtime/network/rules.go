package network

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// rules is the instance's part of the kernel's packet filter. The rules themselves never change while the daemon runs;
// environments and containers are elements of sets, added and removed one by one.
type rules struct {
	id    string
	bits  int
	ports []uint16

	inet, bridge *nftables.Table
	pairs        *nftables.Set // bridge . same bridge: traffic inside an environment
	gateways     *nftables.Set // bridge . its gateway: where its names are answered
	redirected   *nftables.Set // those gateways whose names are answered on otherDNSPort
	hosts        *nftables.Set // all gateways
	networks     *nftables.Set // all environments' networks
	hostPorts    *nftables.Set
	senders      *nftables.Set // port . Ethernet address . IP address that may send there
}

// port is a container's end at the bridge.
type port struct {
	veth string
	addr netip.Addr
}

func newRules(id string, bits int, ports []uint16) *rules {
	r := &rules{id: id, bits: bits, ports: ports}
	r.inet = &nftables.Table{Name: "pandabox_" + id, Family: nftables.TableFamilyINet}
	r.bridge = &nftables.Table{Name: "pandabox_" + id, Family: nftables.TableFamilyBridge}
	r.pairs = concat(r.inet, "pairs", nftables.TypeIFName, nftables.TypeIFName)
	r.gateways = concat(r.inet, "gateways", nftables.TypeIFName, nftables.TypeIPAddr)
	r.redirected = concat(r.inet, "redirected", nftables.TypeIFName, nftables.TypeIPAddr)
	r.hosts = &nftables.Set{Table: r.inet, Name: "hosts", KeyType: nftables.TypeIPAddr}
	r.networks = &nftables.Set{Table: r.inet, Name: "networks", KeyType: nftables.TypeIPAddr}
	r.hostPorts = &nftables.Set{Table: r.inet, Name: "host_ports", KeyType: nftables.TypeInetService}
	r.senders = concat(r.bridge, "senders", nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr)
	return r
}

func concat(t *nftables.Table, name string, types ...nftables.SetDatatype) *nftables.Set {
	key, err := nftables.ConcatSetType(types...)
	if err != nil {
		panic(err) // only for more than five types
	}
	return &nftables.Set{Table: t, Name: name, KeyType: key, Concatenation: true}
}

// apply replaces both tables, each in one transaction, with exactly these environments and containers.
// guarded is false where the kernel has no packet filter for bridges: then senders are not checked.
func (r *rules) apply(bridges []Bridge, ports []port) (guarded bool, err error) {
	c, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("opening nftables: %w", err)
	}
	r.buildInet(c)
	for _, b := range bridges {
		if err := r.addBridgeTo(c, b); err != nil {
			return false, err
		}
	}
	if err := c.Flush(); err != nil {
		return false, fmt.Errorf("setting the packet filter rules: %w", err)
	}
	r.buildBridge(c)
	for _, p := range ports {
		if err := c.SetAddElements(r.senders, sender(p)); err != nil {
			return false, fmt.Errorf("packet filter element of %s: %w", p.veth, err)
		}
	}
	return c.Flush() == nil, nil
}

func (r *rules) buildInet(c *nftables.Conn) {
	t := r.inet
	c.AddTable(t) // so that deleting it cannot fail
	c.DelTable(t)
	c.AddTable(t)
	var portElements []nftables.SetElement
	for _, p := range r.ports {
		portElements = append(portElements, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(p)})
	}
	for _, s := range []*nftables.Set{r.pairs, r.gateways, r.redirected, r.hosts, r.networks} {
		_ = c.AddSet(s, nil) // fails only for sets with elements that do not fit
	}
	_ = c.AddSet(r.hostPorts, portElements)

	chain := func(name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
		return c.AddChain(&nftables.Chain{Name: name, Table: t, Type: typ, Hooknum: hook, Priority: prio})
	}
	rule := func(ch *nftables.Chain, parts ...[]expr.Any) {
		c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: join(parts...)})
	}
	ours := "pbx" + r.id

	forward := chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	rule(forward, iif(ours), family(unix.NFPROTO_IPV6), drop())
	rule(forward, oif(ours), family(unix.NFPROTO_IPV6), drop())
	rule(forward, iifOifIn(r.pairs), accept()) // seen here only where br_netfilter is on
	rule(forward, oif(ours), established(), accept())
	rule(forward, iif(ours), oif(ours), resetTCP()) // another environment
	rule(forward, iif(ours), oif(ours), prohibit())
	rule(forward, oif(ours), drop())                  // from outside
	rule(forward, iif(ours), redirected(), drop())    // a port of the host that leads elsewhere, like those that Docker publishes
	metadata := daddrInNetwork([4]byte{169, 254}, 16) // of a cloud
	rule(forward, iif(ours), metadata, resetTCP())
	rule(forward, iif(ours), metadata, prohibit())

	apps := c.AddChain(&nftables.Chain{Name: "from_apps", Table: t})
	rule(apps, family(unix.NFPROTO_IPV6), drop())
	rule(apps, established(), accept())
	rule(apps, iifDaddrIn(r.gateways), l4proto(unix.IPPROTO_UDP), dport(dnsPort), accept())
	rule(apps, iifDaddrIn(r.gateways), l4proto(unix.IPPROTO_TCP), dport(dnsPort), accept())
	rule(apps, iifDaddrIn(r.redirected), l4proto(unix.IPPROTO_UDP), dport(otherDNSPort), accept())
	rule(apps, iifDaddrIn(r.redirected), l4proto(unix.IPPROTO_TCP), dport(otherDNSPort), accept())
	rule(apps, l4proto(unix.IPPROTO_TCP), dportIn(r.hostPorts), accept())
	rule(apps, l4proto(unix.IPPROTO_UDP), dportIn(r.hostPorts), accept())
	rule(apps, icmpEcho(), accept())
	rule(apps, resetTCP())
	rule(apps, prohibit())

	input := chain("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	rule(input, iif(ours), gotoChain(apps))
	rule(input, notLoopback(), family(unix.NFPROTO_IPV4), daddrIn(r.hosts), drop()) // a neighbour asking for names

	prerouting := chain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	for _, proto := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
		rule(prerouting, iif(ours), family(unix.NFPROTO_IPV4), iifDaddrIn(r.redirected), l4proto(proto), dport(dnsPort), redirect(otherDNSPort))
	}
	postrouting := chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	rule(postrouting, family(unix.NFPROTO_IPV4), notOif(ours), networkIn(offsetSaddr, r.bits, r.networks), masquerade())
}

// buildBridge lets a container send only from its own addresses, and only IPv4 and ARP.
func (r *rules) buildBridge(c *nftables.Conn) {
	t := r.bridge
	c.AddTable(t)
	c.DelTable(t)
	c.AddTable(t)
	_ = c.AddSet(r.senders, nil)
	ch := c.AddChain(&nftables.Chain{Name: "prerouting", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRef(-300)})
	ours := "pbv" + r.id
	for _, parts := range [][]expr.Any{
		join(iif(ours), ethertype(unix.ETH_P_IP), senderIn(offsetSaddr, r.senders), accept()),
		join(iif(ours), ethertype(unix.ETH_P_ARP), senderIn(14, r.senders), accept()), // the sender's IP address in an ARP packet
		join(iif(ours), drop()),
	} {
		c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: parts})
	}
}

func (r *rules) addBridge(b Bridge) error {
	return change(func(c *nftables.Conn) error { return r.addBridgeTo(c, b) })
}

func (r *rules) addBridgeTo(c *nftables.Conn, b Bridge) error {
	for s, e := range r.elementsOf(b) {
		if err := c.SetAddElements(s, e); err != nil {
			return fmt.Errorf("packet filter element of %s: %w", b.Name, err)
		}
	}
	return nil
}

// redirect leads questions for names at the bridge's gateway to otherDNSPort.
func (r *rules) redirect(b Bridge) error {
	return change(func(c *nftables.Conn) error { return c.SetAddElements(r.redirected, r.elementsOf(b)[r.gateways]) })
}

func (r *rules) removeBridge(b Bridge) error {
	return change(func(c *nftables.Conn) error {
		for s, e := range r.elementsOf(b) {
			if err := c.SetDeleteElements(s, e); err != nil {
				return fmt.Errorf("packet filter element of %s: %w", b.Name, err)
			}
		}
		return nil
	})
}

func (r *rules) elementsOf(b Bridge) map[*nftables.Set][]nftables.SetElement {
	name, gw, network := ifName(b.Name), b.Gateway.As4(), b.Prefix.Addr().As4()
	return map[*nftables.Set][]nftables.SetElement{
		r.pairs:    {{Key: append(ifName(b.Name), name...)}},
		r.gateways: {{Key: append(ifName(b.Name), gw[:]...)}},
		r.hosts:    {{Key: gw[:]}},
		r.networks: {{Key: network[:]}},
	}
}

func (r *rules) addPort(p port) error {
	return change(func(c *nftables.Conn) error { return c.SetAddElements(r.senders, sender(p)) })
}

func (r *rules) removePort(p port) error {
	return change(func(c *nftables.Conn) error { return c.SetDeleteElements(r.senders, sender(p)) })
}

func sender(p port) []nftables.SetElement {
	ip := p.addr.As4()
	key := append(ifName(p.veth), hardwareAddr(p.addr)...)
	key = append(key, 0, 0) // six bytes fill two registers
	return []nftables.SetElement{{Key: append(key, ip[:]...)}}
}

// hardwareAddr derives a locally administered Ethernet address from an IP address: an address always has the same
// neighbour entry, whichever container has it.
func hardwareAddr(a netip.Addr) net.HardwareAddr {
	ip := a.As4()
	return net.HardwareAddr{0x02, 0x70, ip[0], ip[1], ip[2], ip[3]}
}

func ifName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// present tells whether the rules are still there.
func (r *rules) present() bool {
	c, err := nftables.New()
	if err != nil {
		return true // unknown; nothing could be done now anyway
	}
	t, err := c.ListTableOfFamily(r.inet.Name, nftables.TableFamilyINet)
	return err == nil && t != nil
}

// destroy removes both tables; those that are not there are no error.
func (r *rules) destroy() error {
	for _, t := range []*nftables.Table{r.inet, r.bridge} {
		err := change(func(c *nftables.Conn) error {
			c.AddTable(t)
			c.DelTable(t)
			return nil
		})
		if err != nil && t.Family != nftables.TableFamilyBridge { // the kernel may have no packet filter for bridges
			return fmt.Errorf("removing the packet filter rules: %w", err)
		}
	}
	return nil
}

func change(f func(*nftables.Conn) error) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	if err := f(c); err != nil {
		return err
	}
	return c.Flush()
}
