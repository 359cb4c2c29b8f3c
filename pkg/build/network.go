//go:build linux

package build

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"

	resources "github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/util/network"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var _ network.Provider = (*netProvider)(nil)

// netProvider gives build containers their network: the daemon, which owns bridges and rules, does it when asked over
// a socket, and undoes it when that connection ends, whatever became of this process.
type netProvider struct{ socket string }

// attachment is what is asked, and attached what is answered.
type attachment struct {
	Pid uint32 `json:"pid"`
}

type attached struct {
	Error string `json:"error,omitempty"`
}

// New implements network.Provider.
func (p *netProvider) New(context.Context, string, network.NamespaceOptions) (network.Namespace, error) {
	return &netNamespace{socket: p.socket}, nil
}

// Close implements network.Provider.
func (p *netProvider) Close() error { return nil }

// netNamespace is the network of one build container: a namespace of its own, which runc makes.
type netNamespace struct {
	socket string
	conn   net.Conn
}

// Set implements network.Namespace: the spec has a network namespace already.
func (n *netNamespace) Set(*specs.Spec) error { return nil }

// OnCreateRuntime is called between the container's creation and its start.
func (n *netNamespace) OnCreateRuntime(pid uint32) (err error) {
	if n.conn, err = net.Dial("unix", n.socket); err != nil {
		return fmt.Errorf("asking for a network: %w", err)
	}
	if err := json.NewEncoder(n.conn).Encode(attachment{Pid: pid}); err != nil {
		return fmt.Errorf("asking for a network: %w", err)
	}
	var a attached
	if err := json.NewDecoder(bufio.NewReader(n.conn)).Decode(&a); err != nil {
		return fmt.Errorf("asking for a network: %w", err)
	}
	if a.Error != "" {
		return fmt.Errorf("getting a network: %s", a.Error)
	}
	return nil
}

// Close implements network.Namespace.
func (n *netNamespace) Close() error {
	if n.conn == nil {
		return nil
	}
	return n.conn.Close()
}

// Sample implements network.Namespace: the daemon counts.
func (n *netNamespace) Sample() (*resources.NetworkSample, error) { return nil, nil }
