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

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Of fn dev.
const (
	devPort   = 8787
	devEnv    = "development"
	devFolder = ".pandabox" // in the function's folder; it ignores itself in git
	devGrace  = 2 * time.Second
)

func (sh *shell) fnDev() *cobra.Command {
	var port int
	var env, upstream string
	cmd := &cobra.Command{
		Use: "dev", Short: "Try the folder's function here, again at every saved file",
		Long: `Serve the folder's function on this machine, on the engines and under the limits that the box has. No box, no daemon
and no root is needed. Every saved change is served at once; what is wrong with it is shown with its file and line, and
the version before goes on. Ctrl-C ends it.

Variables come from [variables] of pandabox.toml, then .env, then .dev.vars. env.KV is kept in the folder .pandabox. A
GET of /__scheduled calls the function's scheduled handler.`,
		Example: `  pandabox fn dev
  pandabox fn dev --port 3000 --env staging
  pandabox fn dev --upstream http://127.0.0.1:3000`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.dev(cmd.Context(), port, env, upstream)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&port, "port", "p", devPort, "the port on 127.0.0.1; 0 for any that is free")
	f.StringVarP(&env, "env", "e", devEnv, "the environment whose section of pandabox.toml counts")
	f.StringVar(&upstream, "upstream", "", "where next(request) leads to, for a function with middleware = true")
	return cmd
}

// dev serves the folder's function until ctx ends, which is no error.
func (sh *shell) dev(ctx context.Context, port int, env, upstream string) (err error) {
	if err := model.CheckName("environment", env); err != nil {
		return err
	}
	if port < 0 || port > 65535 {
		return model.Invalid("%d is not a port", port).WithHint("choose 1 to 65535, or 0 for any that is free")
	}
	next, err := upstreamOf(upstream)
	if err != nil {
		return err
	}
	dir, m, err := sh.functionFolder()
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return model.Errorf(model.KindConflict, "port %d cannot be used", port).Wrap(err).WithHint("another program has it? add --port %d", port+1)
	}
	d, err := sh.newDevelopment(ctx, dir, env, next)
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
		seen = now
		m, err := manifest.Load(d.dir)
		if err != nil {
			d.fail(err)
			continue
		}
		d.reload(ctx, m)
	}
}

func upstreamOf(address string) (*url.URL, error) {
	if address == "" {
		return nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, model.Invalid("--upstream %s is no address", address).WithHint("for example: --upstream http://127.0.0.1:3000")
	}
	return u, nil
}
