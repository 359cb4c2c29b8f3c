package daemon

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/source"
	"github.com/pandabox/pandabox/pkg/source/forge"
	"github.com/pandabox/pandabox/pkg/source/git"
	"github.com/pandabox/pandabox/pkg/store"
)

// doors are the ways in for code besides the API.
type doors struct {
	source *source.Service
	forge  *forge.Server
	git    *git.Server
	denied *identity.Attempts // failed ones to sign in: at the API, and with git
	ssh    *git.SSH           // nil: off
	addr   string             // of ssh
	store  *store.Store
	log    zerolog.Logger
}

// openDoors makes them; none answers yet.
func (p *parts) openDoors(ctx context.Context) (*doors, error) {
	s, err := source.New(source.Config{Control: p.control, TempDir: filepath.Join(p.cfg.DataDir, "trees")})
	if err != nil {
		return nil, err
	}
	f, err := forge.New(forge.Config{Control: p.control, Source: s, Logger: p.named("forge")})
	if err != nil {
		return nil, err
	}
	d := &doors{source: s, forge: f, store: p.store, log: p.named("git"), denied: identity.NewDenied()}
	d.git, err = git.New(git.Config{
		Repositories: p.pushed, Box: git.Platform{Control: p.control, Source: s}, Logger: d.log, Version: p.cfg.Version, Denied: d.denied,
	})
	if err != nil || p.cfg.SSHAddr == sshOff {
		return d, err
	}
	d.addr = p.cfg.SSHAddr
	d.ssh, err = d.git.NewSSH(ctx, control.HostKeyFile(p.cfg.DataDir))
	return d, err
}

const (
	reclaimEvery = 24 * time.Hour   // repositories of apps that are gone
	listenEvery  = 30 * time.Second // where another program has the port
)

// run does what came in through them, until ctx ends.
func (d *doors) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { d.forge.Run(ctx) })
	wg.Go(func() { d.reclaim(ctx) })
	if d.ssh != nil {
		wg.Go(func() { d.serveSSH(ctx) })
	}
	wg.Wait()
}

// serveSSH listens, again and again where it cannot: that a port is taken does not keep the box from serving.
func (d *doors) serveSSH(ctx context.Context) {
	for {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.addr)
		if err == nil {
			d.log.Info().Str("address", l.Addr().String()).Msg("git push over SSH")
			err = d.ssh.Serve(ctx, l)
		}
		if ctx.Err() != nil {
			return
		}
		d.log.Warn().Err(err).Str("ssh_addr", d.addr).Msg("nobody can push over SSH")
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenEvery):
		}
	}
}

// reclaim removes the repositories of apps that are gone, at the beginning and every day.
func (d *doors) reclaim(ctx context.Context) {
	tick := time.NewTicker(reclaimEvery)
	defer tick.Stop()
	for {
		began := time.Now()
		keep, err := d.apps(ctx)
		if err == nil {
			err = d.git.Reclaim(keep, began)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn().Err(err).Msg("removing repositories of apps that are gone")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// apps returns the ids of all apps.
func (d *doors) apps(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	err := d.store.View(ctx, func(tx *store.Tx) error {
		orgs, err := tx.Orgs()
		if err != nil {
			return err
		}
		for _, o := range orgs {
			apps, _, err := tx.Apps(o.ID, "", 0)
			if err != nil {
				return err
			}
			for _, a := range apps {
				out[a.ID] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the apps: %w", err)
	}
	return out, nil
}
