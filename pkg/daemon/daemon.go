// Package daemon puts pandabox together: store, runtime, proxy, reconciler and API in one process. It is the way to
// embed pandabox in a Go program:
//
//	d, err := daemon.New(daemon.Config{DataDir: "/srv/pandabox", BaseDomain: "apps.example.com"})
//	if err != nil { … }
//	err = d.Run(ctx) // until ctx ends; d.Ready() is closed once it serves
//
// The daemon needs root on Linux, and starts containerd and BuildKit as children: a program that embeds it calls
// ChildMain when IsChild says so of its arguments, or names another program in Config.ChildCommand.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy"
)

// How long the parts have to end in good order, together.
const shutdownGrace = 60 * time.Second

// firstTableWait is how long the ingress waits for the first route table before it listens: a request that came
// earlier would be told that there is no such app.
const firstTableWait = 5 * time.Second

// Daemon is one pandabox.
type Daemon struct {
	cfg   Config
	log   zerolog.Logger
	ready chan struct{}
	began atomic.Bool
	parts *parts
}

// New checks the configuration. It touches nothing yet.
func New(c Config) (*Daemon, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	return &Daemon{cfg: c, ready: make(chan struct{})}, nil
}

// Ready is closed when the daemon serves requests and takes commands.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Control returns the use cases, for a program that embeds the daemon. It may be called once Ready is closed.
func (d *Daemon) Control() *control.Control { return d.parts.control }

// Root is who the embedding program acts as.
func Root() model.Actor { return model.Actor{ID: "root", Name: "root on this box", Root: true} }

// Run runs the daemon until ctx ends, then stops it in good order; containers keep running. A second daemon in one
// process, or on one data directory, is refused.
func (d *Daemon) Run(ctx context.Context) (err error) {
	if !d.began.CompareAndSwap(false, true) {
		return model.Conflict("this daemon has run already").WithHint("make another with New")
	}
	if os.Geteuid() != 0 {
		return model.Errorf(model.KindForbidden, "the daemon needs root").WithHint("start it with sudo, or as a system service")
	}
	if proxy.Running() { // the proxy itself refuses a second; this is before containerd has been started for nothing
		return model.Conflict("another pandabox daemon runs in this process").WithHint("stop it first; one process can run one at a time")
	}
	log, closeLog := d.cfg.logger()
	d.log = log
	defer func() { err = errors.Join(err, closeLog()) }()
	for _, dir := range []string{d.cfg.DataDir, d.cfg.RunDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making %s: %w", dir, err)
		}
		if err := reachable(dir); err != nil {
			return err
		}
	}
	began := time.Now()
	p, err := assemble(ctx, d.cfg, log)
	if err != nil {
		return err
	}
	d.parts = p
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		err = errors.Join(err, p.close(end))
	}()
	return p.run(ctx, func() {
		log.Info().Dur("took", time.Since(began)).Str("base", d.cfg.BaseDomain).Str("version", d.cfg.Version).Msg("pandabox serves")
		close(d.ready)
	})
}

// reachable refuses a directory that the users of containers cannot get to: root in a container is nobody outside.
func reachable(dir string) error {
	for up := filepath.Dir(dir); up != "/"; up = filepath.Dir(up) {
		info, err := os.Stat(up)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", up, err)
		}
		if info.Mode()&0o001 == 0 {
			return model.Invalid("%s cannot be used", dir).
				WithWhy("only its owner may enter %s, so no container could reach its files below it", up).WithHint("chmod o+x %s, or choose another directory", up)
		}
	}
	return nil
}

// apiHandler serves the API as soon as it is there: the proxy is made before it.
type apiHandler struct{ h atomic.Pointer[http.Handler] }

func (a *apiHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := a.h.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	http.Error(w, "pandabox is starting", http.StatusServiceUnavailable)
}

// storeFile is where the control state lives.
func storeFile(dataDir string) string { return filepath.Join(dataDir, "pandabox.db") }

// caFile is where the certificate of the box's own CA is kept for everybody to read.
func caFile(dataDir string) string { return filepath.Join(dataDir, "ca.crt") }
