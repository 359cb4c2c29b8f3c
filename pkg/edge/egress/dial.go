package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	dialTime = 10 * time.Second // to connect to one address
	maxTried = 8                // addresses of one name
)

// dial connects to a host and port that the transport asks for. The address it connects to is one that was judged.
func (c *Client) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", hostport, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, model.Invalid("%q is not a port", portText)
	}
	var to []netip.AddrPort
	if Internal(host) {
		to, err = c.internal(ctx, host, uint16(port))
	} else {
		to, err = c.public(ctx, host, uint16(port))
	}
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second}
	var last error
	for _, addr := range to[:min(len(to), maxTried)] {
		conn, err := d.DialContext(ctx, "tcp", addr.String())
		if err == nil {
			return conn, nil
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, model.Errorf(model.KindUnavailable, "%s cannot be reached", host).Wrap(last).WithWhy("%s", reason(last))
}

// internal returns where a name of the environment answers. The port is the app's own unless the URL names one.
func (c *Client) internal(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error) {
	if c.config.Policy.Closed() {
		return nil, c.refused(host, "the function may reach nothing")
	}
	to, err := c.config.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(to) == 0 {
		return nil, model.Errorf(model.KindUnavailable, "%s has no address", host).
			WithHint("it is a name of the same environment: see pandabox status")
	}
	out := make([]netip.AddrPort, len(to))
	for i, addr := range to {
		out[i] = addr
		if port != 80 && port != 443 {
			out[i] = netip.AddrPortFrom(addr.Addr(), port)
		}
	}
	return out, nil
}

// public returns the addresses of host that the policy allows.
func (c *Client) public(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error) {
	if c.config.Policy.Closed() {
		return nil, c.refused(host, "the function may reach nothing") // not even name servers
	}
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if addrs, err = c.config.Lookup(ctx, host); err != nil {
		return nil, model.Errorf(model.KindUnavailable, "%s cannot be found", host).Wrap(err).WithWhy("%s", reason(err))
	}
	var to []netip.AddrPort
	why := "it has no address"
	for _, a := range addrs {
		addr := netip.AddrPortFrom(a.Unmap(), port)
		if no := c.config.Policy.Refuses(addr, c.config.Own); no != "" {
			why = no
			continue
		}
		to = append(to, addr)
	}
	if len(to) == 0 {
		return nil, c.refused(host, why)
	}
	return to, nil
}

// ErrRefused says that the policy does not allow a connection.
var ErrRefused = errors.New("the function may not connect there")

func (c *Client) refused(host, why string) error {
	return model.Errorf(model.KindForbidden, "the function may not connect to %s", host).WithWhy("%s", why).Wrap(ErrRefused).
		WithHint("egress in [function] of pandabox.toml opens an address")
}

// reason is the innermost part of a network error: the rest repeats the address.
func reason(err error) string {
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	return err.Error()
}
