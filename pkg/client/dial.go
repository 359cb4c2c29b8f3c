package client

import (
	"context"
	"net"
	"strings"
	"time"
)

// Dial connects as clients do: a name below .localhost is this machine, whatever the resolver knows of it
// (RFC 6761), as in browsers.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 15 * time.Second}
	host, port, err := net.SplitHostPort(address)
	if err == nil && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost") {
		address = net.JoinHostPort("localhost", port)
	}
	return dialer.DialContext(ctx, network, address)
}
