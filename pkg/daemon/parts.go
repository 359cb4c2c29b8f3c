package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/build"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/edge"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/httpapi"
	"github.com/pandabox/pandabox/pkg/proxy"
	"github.com/pandabox/pandabox/pkg/reconcile"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/runtime/logs"
	"github.com/pandabox/pandabox/pkg/source/git"
	"github.com/pandabox/pandabox/pkg/static"
	"github.com/pandabox/pandabox/pkg/store"
)

// parts are what a running daemon is made of, in the order they are made; close goes the other way.
type parts struct {
	cfg        Config
	log        zerolog.Logger
	store      *store.Store
	kv         *store.KV
	engines    *engines
	proxy      *proxy.Proxy
	runtime    *runtime.Runtime
	control    *control.Control
	printer    *logs.Printer
	functions  *edge.Host
	sites      *static.Host
	api        *httpapi.API
	builds     *builds
	pushed     *git.Repositories
	doors      *doors
	controller *reconcile.Controller
	router     *router
}

// assemble makes every part; none serves yet. After an error nothing is left open.
func assemble(ctx context.Context, cfg Config, log zerolog.Logger) (*parts, error) {
	p := &parts{cfg: cfg, log: log}
	if err := p.assemble(ctx); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

func (p *parts) assemble(ctx context.Context) (err error) {
	cfg := p.cfg
	if p.store, err = store.Open(storeFile(cfg.DataDir), store.Options{}); err != nil {
		return err
	}
	if p.kv, err = store.OpenKV(control.KVFile(cfg.DataDir), store.KVOptions{}); err != nil {
		return err
	}
	p.engines = &engines{store: p.store, kv: p.kv}
	var api apiHandler
	if p.proxy, err = proxy.New(p.proxyConfig(&api)); err != nil {
		return err
	}
	if p.runtime, err = runtime.New(ctx, p.runtimeConfig()); err != nil {
		return err
	}
	sites, err := static.Open(filepath.Join(cfg.DataDir, "sites"))
	if err != nil {
		return err
	}
	if p.builds, err = newBuilds(ctx, p.buildConfig(), sites); err != nil {
		return err
	}
	if p.pushed, err = git.Open(control.GitDir(cfg.DataDir)); err != nil {
		return err
	}
	if p.control, err = control.New(ctx, p.controlConfig()); err != nil {
		return err
	}
	p.printer = logs.NewPrinter(p.runtime.LogDir)
	if p.functions, err = edge.New(ctx, p.edgeConfig()); err != nil {
		return err
	}
	if p.sites, err = static.NewHost(sites, p.named("sites")); err != nil {
		return err
	}
	p.engines.containers, p.engines.functions, p.engines.sites, p.engines.builds = p.runtime, p.functions, p.sites, p.builds
	if p.doors, err = p.openDoors(ctx); err != nil {
		return err
	}
	p.api, err = httpapi.New(httpapi.Config{
		Control: p.control, Logger: p.named("api"), Version: cfg.Version, RootCA: p.proxy.RootCA, Hooks: p.doors.forge, Git: p.doors.git, Denied: p.doors.denied,
	})
	if err != nil {
		return err
	}
	handler := p.api.Handler()
	api.h.Store(&handler)
	p.router = newRouter(p.proxy, p.runtime.SetHealthy)
	log := p.log
	p.controller, err = reconcile.New(reconcile.Config{
		State: p.store, Runtime: p.engines, Images: p.engines, Router: p.router, Environ: p.control, Builder: p.control.Builds, Logger: &log,
		LastLogLine: lastLogLine(p.runtime),
	})
	return err
}

func (p *parts) named(component string) zerolog.Logger {
	return p.log.With().Str("component", component).Logger()
}

func (p *parts) proxyConfig(api http.Handler) proxy.Config {
	c := proxy.Config{
		BaseDomain: p.cfg.BaseDomain, HTTPAddr: p.cfg.HTTPAddr, HTTPSAddr: p.cfg.HTTPSAddr, APIHandler: api, Functions: p.engines, Sites: siteServer{p}, Inside: p.inside,
		Storage: p.store, Logger: p.log,
		ACME: proxy.ACME{Disabled: p.cfg.Offline, CADirectory: p.cfg.ACME.Directory, Email: p.cfg.ACME.Email, RootCAs: p.cfg.ACME.Roots},
	}
	if p.cfg.AccessLog {
		log := p.named("access")
		c.AccessLog = func(e proxy.AccessEntry) {
			log.Info().Str("id", e.RequestID).Str("app", e.App).Str("backend", e.Backend).Str("remote", e.RemoteIP).Str("proto", e.Proto).
				Str("method", e.Method).Str("host", e.Host).Str("path", httpapi.SafePath(e.Path)).Int("status", e.Status).Int64("bytes", e.Bytes).Dur("took", e.Duration).Send()
		}
	}
	return c
}

func (p *parts) runtimeConfig() runtime.Config {
	return runtime.Config{
		DataDir: p.cfg.DataDir, RunDir: p.cfg.RunDir, ChildCommand: p.cfg.child(childContainerd), Logger: p.log,
		Subnet: netip.MustParsePrefix(p.cfg.Subnet), HostPorts: p.cfg.ports(), // complete has checked them
		Hosted: p.hosted,
	}
}

func (p *parts) buildConfig() build.Config {
	c, _ := p.cfg.Build.config() // complete has checked it
	c.DataDir, c.RunDir, c.ChildCommand, c.Host, c.Logger = p.cfg.DataDir, p.cfg.RunDir, p.cfg.child(childBuildkit), buildHost{p.runtime}, p.log
	return c
}

func (c Config) child(name string) []string {
	return append(slices.Clip(c.ChildCommand), name)
}

func (p *parts) edgeConfig() edge.Config {
	return edge.Config{
		DataDir: p.cfg.DataDir, KV: func(envID string) guest.KV { return envKV{p.kv, envID} }, Log: p.printer.Print, Resolve: p.resolve,
		Seal: p.control.SealFunction, Open: p.control.OpenFunction, Logger: p.log,
	}
}

func (p *parts) controlConfig() control.Config {
	return control.Config{
		Store: p.store, KeyFile: control.KeyFile(p.cfg.DataDir), DataDir: p.cfg.DataDir, BaseDomain: p.cfg.BaseDomain, URL: p.cfg.url(), SSHPort: p.cfg.sshPort(), Version: p.cfg.Version,
		Instance: runtime.InstanceID(p.cfg.DataDir), Images: p.runtime, Runner: p.engines, Logs: p.runtime, Certs: p.proxy, Probes: p.probes(),
		Functions: p.engines, KV: p.kv, Jobs: p.runtime, Sources: p.builds, Builder: p.builds, Bases: p.runtime, Git: p.pushed,
	}
}

// ports returns those of the proxy.
func (c Config) ports() []uint16 {
	out := []uint16{}
	for _, addr := range []string{c.HTTPAddr, c.HTTPSAddr} {
		_, name, err := net.SplitHostPort(addr)
		if err != nil {
			continue // complete has checked it
		}
		if port, err := net.LookupPort("tcp", name); err == nil && port != 0 {
			out = append(out, uint16(port))
		}
	}
	return out
}

// sshPort is where git push over SSH is taken; 0: nowhere.
func (c Config) sshPort() int {
	if c.SSHAddr == sshOff {
		return 0
	}
	_, name, err := net.SplitHostPort(c.SSHAddr)
	if err != nil {
		return 0 // complete has checked it
	}
	port, _ := net.LookupPort("tcp", name) // 0 where there is no such name: then it does not listen either
	return port
}

// url is where the API answers from outside.
func (c Config) url() string {
	u := "https://" + c.BaseDomain
	if _, port, err := net.SplitHostPort(c.HTTPSAddr); err == nil && port != "443" && port != "https" {
		u += ":" + port
	}
	return u
}

// run serves until ctx ends or a part fails. It calls serving once requests and commands are taken.
func (p *parts) run(ctx context.Context, serving func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 3)
	controlled := make(chan struct{})
	go func() {
		defer close(controlled)
		if err := p.controller.Run(ctx); err != nil && ctx.Err() == nil {
			failed <- fmt.Errorf("reconciling: %w", err)
		}
	}()
	defer func() { cancel(); <-controlled }()
	scheduled := make(chan struct{})
	go func() {
		defer close(scheduled)
		if err := p.runJobs(ctx); err != nil && ctx.Err() == nil {
			failed <- fmt.Errorf("running jobs: %w", err)
		}
	}()
	defer func() { cancel(); <-scheduled }()
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		p.reapPreviews(ctx)
	}()
	defer func() { cancel(); <-reaped }()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.doors.run(ctx)
	}()
	defer func() { cancel(); <-closed }()

	select { // the ingress opens with the apps that run already in its table
	case <-p.router.first:
	case <-time.After(firstTableWait):
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
	if err := p.proxy.Start(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(caFile(p.cfg.DataDir), p.proxy.RootCA(), 0o644); err != nil { // public: for clients to trust
		return fmt.Errorf("keeping the CA's certificate: %w", err)
	}
	socket, err := httpapi.ListenUnix(Socket(p.cfg.RunDir))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: p.api.Handler(), ConnContext: httpapi.ConnContext, ReadHeaderTimeout: 30 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serving the control socket: %w", err)
		}
	}()
	serving()
	p.notify(sd.SdNotifyReady)
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = nil
	}
	p.notify(sd.SdNotifyStopping)
	end, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer done()
	err = errors.Join(err, p.api.Shutdown(end), server.Shutdown(end))
	<-served
	return err
}

// notify tells systemd, where it asked to be told.
func (p *parts) notify(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		p.log.Warn().Err(err).Msg("telling systemd")
	}
}

// close ends what assemble made. Containers keep running.
func (p *parts) close(ctx context.Context) error {
	var errs []error
	if p.proxy != nil {
		errs = append(errs, p.proxy.Close(ctx))
	}
	if p.functions != nil {
		errs = append(errs, p.functions.Close(ctx))
	}
	if p.printer != nil {
		p.printer.Close()
	}
	if p.builds != nil {
		errs = append(errs, p.builds.builder.Close(ctx))
	}
	if p.runtime != nil {
		errs = append(errs, p.runtime.Close(ctx))
	}
	if p.kv != nil {
		errs = append(errs, p.kv.Close())
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}

// Restore puts a backup of the control state into the place of c's data directory. The daemon must not run.
func Restore(ctx context.Context, c Config, backup *os.File) error {
	c, err := c.complete()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Clean(c.DataDir), 0o700); err != nil {
		return fmt.Errorf("making %s: %w", c.DataDir, err)
	}
	return control.Restore(ctx, c.DataDir, backup)
}

// StopAll ends every container, containerd and the networks of c's instance; data stays. The daemon must not run.
func StopAll(ctx context.Context, c Config) error {
	c, err := c.complete()
	if err != nil {
		return err
	}
	if _, err := os.Stat(storeFile(c.DataDir)); errors.Is(err, os.ErrNotExist) {
		return nil // it never ran
	}
	log, done := c.logger()
	r, err := runtime.New(ctx, (&parts{cfg: c, log: log}).runtimeConfig())
	if err != nil {
		return errors.Join(err, done())
	}
	return errors.Join(r.Shutdown(ctx, stopAllGrace), done())
}

// IsChild tells whether a program's arguments, without its name, are those of a child of the daemon.
func IsChild(args []string) bool {
	return len(args) > 0 && (args[0] == childContainerd || args[0] == childBuildkit)
}

// The first arguments of children.
const (
	childContainerd = "containerd"
	childBuildkit   = "buildkitd"
)

// ChildMain is containerd or BuildKit, as the first argument says; see IsChild and Config.ChildCommand. It returns an exit
// code.
func ChildMain(args []string) int {
	if args[0] == childBuildkit {
		return build.ChildMain(args[1:])
	}
	return runtime.ChildMain(args[1:])
}

// RunDir returns the directory of c's sockets.
func RunDir(c Config) string { return orDefault(c.RunDir, DefaultRunDir) }
