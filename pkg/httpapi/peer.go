package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/pandabox/pandabox/pkg/model"
)

// peer is who is at the other end of a Unix socket, by the kernel's word.
type peer struct {
	uid uint32
	err error // the kernel could not tell
}

type peerKey struct{}

// ConnContext keeps the credentials of a Unix socket's peer with its connection. Give it to http.Server.ConnContext of
// a server on a socket of ListenUnix; over TCP it does nothing.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if a := c.LocalAddr(); a == nil || a.Network() != "unix" {
		return ctx
	}
	p := peer{err: errors.New("not a Unix socket")}
	if u, ok := c.(*net.UnixConn); ok {
		p = credentials(u)
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func credentials(c *net.UnixConn) peer {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{err: err}
	}
	p := peer{}
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err != nil {
			p.err = err
			return
		}
		p.uid = cred.Uid
	})
	if err != nil {
		p.err = err
	}
	return p
}

// ListenUnix listens on a Unix socket only its owner may open. A socket nobody listens on any more is replaced; one
// that answers is KindConflict.
func ListenUnix(path string) (net.Listener, error) {
	if len(path) > 107 {
		return nil, model.Invalid("the socket's path %s is %d bytes long", path, len(path)).WithHint("Unix sockets allow 107: choose a shorter run directory")
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("looking at the socket: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return nil, model.Conflict("%s is there and is no socket", path).WithHint("move it away")
	default:
		if c, err := net.Dial("unix", path); err == nil {
			_ = c.Close()
			return nil, model.Conflict("a daemon listens on %s already", path).WithHint("stop it first: systemctl stop pandabox")
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing the stale socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on the socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting the socket: %w", err), l.Close())
	}
	return l, nil
}
