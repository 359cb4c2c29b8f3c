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
type netProvider struct {
	socket string
	disk   *specs.LinuxBlockIO
}

// attachment is what is asked, and attached what is answered.
type attachment struct {
	Pid uint32 `json:"pid"`
}

type attached struct {
	Error string `json:"error,omitempty"`
}

// New implements network.Provider.
func (p *netProvider) New(context.Context, string, network.NamespaceOptions) (network.Namespace, error) {
	return &netNamespace{socket: p.socket, bounded: bounded{p.disk}}, nil
}

// Close implements network.Provider.
func (p *netProvider) Close() error { return nil }

// netNamespace is the network of one build container: a namespace of its own, which runc makes.
type netNamespace struct {
	bounded
	socket string
	conn   net.Conn
}

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

// offlineProvider is for steps without a network (RUN --network=none): runc makes them a namespace with nothing in it.
type offlineProvider struct{ disk *specs.LinuxBlockIO }

// New implements network.Provider.
func (p *offlineProvider) New(context.Context, string, network.NamespaceOptions) (network.Namespace, error) {
	return offline{bounded{p.disk}}, nil
}

// Close implements network.Provider.
func (p *offlineProvider) Close() error { return nil }

type offline struct{ bounded }

// Close implements network.Namespace.
func (offline) Close() error { return nil }

// Sample implements network.Namespace.
func (offline) Sample() (*resources.NetworkSample, error) { return nil, nil }

// bounded bounds what a build container takes of the disk. BuildKit hands out a container's spec here and nowhere else.
type bounded struct{ disk *specs.LinuxBlockIO }

// Set implements network.Namespace: the spec has a network namespace already.
func (b bounded) Set(s *specs.Spec) error {
	if b.disk == nil {
		return nil
	}
	if s.Linux.Resources == nil {
		s.Linux.Resources = &specs.LinuxResources{}
	}
	s.Linux.Resources.BlockIO = b.disk
	return nil
}

// blockIO returns the bounds of one container's reads and writes, nil where there are none.
func (c childConfig) blockIO() *specs.LinuxBlockIO {
	var d specs.LinuxThrottleDevice
	if _, err := fmt.Sscanf(c.Disk, "%d:%d", &d.Major, &d.Minor); err != nil || c.DiskRate <= 0 {
		return nil
	}
	d.Rate = uint64(c.DiskRate)
	all := []specs.LinuxThrottleDevice{d}
	return &specs.LinuxBlockIO{ThrottleReadBpsDevice: all, ThrottleWriteBpsDevice: all}
}
