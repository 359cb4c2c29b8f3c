package reconcile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Check is one question to one replica.
type Check struct {
	Addr netip.AddrPort
	Path string // "": DefaultHealthPath, where the replica has something to say there
	Host string // the Host header; "" means the address
}

// NetProber asks over the network, with a connection of its own for each question. Redirects are answers, they are not
// followed.
type NetProber struct{}

var _ Prober = NetProber{}

// Probe asks GET Path and takes 2xx and 3xx for healthy. Without a path an open port is enough: then 4xx on
// DefaultHealthPath, or an answer that is not HTTP at all, only says that the app has no such page. A port that takes
// the connection and says nothing until ctx ends is never healthy.
func (NetProber) Probe(ctx context.Context, check Check) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", check.Addr.String())
	if err != nil {
		return "", dialError(check.Addr.Port(), err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	path, open := check.Path, ""
	if path == "" {
		path, open = model.DefaultHealthPath, fmt.Sprintf("port %d open", check.Addr.Port())
	}
	status, err := ask(ctx, conn, check, path)
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)):
		return "", fmt.Errorf("no answer on %s in time", path)
	case err != nil && open != "":
		return open, nil
	case err != nil:
		return "", fmt.Errorf("no HTTP answer on %s: %w", path, err)
	case status >= 200 && status < 400:
		return "healthy on " + path, nil
	case open != "" && status < 500:
		return open, nil
	}
	return "", fmt.Errorf("%s answered %d", path, status)
}

func ask(ctx context.Context, conn net.Conn, check Check, path string) (int, error) {
	host := check.Host
	if host == "" {
		host = check.Addr.String()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+check.Addr.String()+path, http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("asking for %s: %w", path, err)
	}
	req.Host = host
	req.Close = true
	req.Header.Set("User-Agent", "pandabox-health/1")
	req.Header.Set("X-Forwarded-Proto", "https")
	if err := req.Write(conn); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<10), req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

func dialError(port uint16, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on port %d", port)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("port %d did not answer in time", port)
	}
	return fmt.Errorf("connecting to port %d: %w", port, err)
}
