//go:build linux

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/pandabox/pandabox/pkg/model"
)

// networks answers BuildKit's child when it asks for the network of a build container. A container has it for as long
// as the connection lasts that asked.
type networks struct {
	host     Host
	listener net.Listener
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

func serveNetworks(ctx context.Context, socket string, host Host) (*networks, error) {
	_ = os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listening for build containers: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for build containers: %w", err), l.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n := &networks{host: host, listener: l, cancel: cancel}
	n.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			n.done.Go(func() { n.serve(ctx, conn) })
		}
	})
	return n, nil
}

func (n *networks) serve(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	var a attachment
	if err := json.NewDecoder(io.LimitReader(conn, 1<<10)).Decode(&a); err != nil || a.Pid == 0 {
		return
	}
	name := fmt.Sprintf("build-%d", a.Pid)
	end := context.WithoutCancel(ctx)
	defer func() { _ = n.host.DetachBuild(end, name) }()
	var answer attached
	if err := n.host.AttachBuild(ctx, name, int(a.Pid)); err != nil {
		answer.Error = err.Error()
		if e := (*model.Error)(nil); errors.As(err, &e) {
			answer.Error = e.What
		}
	}
	if err := json.NewEncoder(conn).Encode(answer); err != nil || answer.Error != "" {
		return
	}
	_, _ = io.Copy(io.Discard, conn) // until it is closed
}

func (n *networks) close() {
	n.cancel()
	_ = n.listener.Close()
	n.done.Wait()
}
