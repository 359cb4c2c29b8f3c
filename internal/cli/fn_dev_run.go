//go:build linux

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

const (
	devFolder = ".pandabox" // in the function's folder; it ignores itself in git
	devGrace  = 2 * time.Second
)

// dev serves the folder's function until ctx ends, which is no error.
func (sh *shell) dev(ctx context.Context, port int, env string, upstream *url.URL) (err error) {
	dir, m, err := sh.functionFolder()
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return model.Errorf(model.KindConflict, "port %d cannot be used", port).Wrap(err).WithHint("another program has it? add --port %d", port+1)
	}
	d, err := sh.newDevelopment(ctx, dir, env, upstream)
	if err != nil {
		_ = listener.Close()
		return err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	server := &http.Server{Handler: d, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	d.address = "http://" + listener.Addr().String()
	d.reload(ctx, m)
	close(d.tried)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); d.watch(watching) }()
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	stop()
	<-watched
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), devGrace)
	defer cancel()
	if server.Shutdown(ending) != nil {
		_ = server.Close() // requests that did not end
	}
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	sh.say("")
	return nil
}

// watch builds the function anew whenever a file of it changes, until ctx ends.
func (d *development) watch(ctx context.Context) {
	seen := d.files()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := d.files()
		if now.same(seen) {
			continue
		}
		if m, err := manifest.Load(d.dir); err != nil {
			d.fail(err)
		} else {
			d.reload(ctx, m)
		}
		// Other files may be watched now. What was saved meanwhile must be seen as a change.
		seen = d.files()
		for path := range seen {
			if was, ok := now[path]; ok {
				seen[path] = was
			}
		}
	}
}
