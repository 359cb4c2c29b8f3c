package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// Proxy is the running door. Its methods may be called from any goroutine.
type Proxy struct {
	cfg    Config
	log    zerolog.Logger
	vault  *vault
	certs  *certificates
	h2c    http.RoundTripper
	pools  *pools
	access *accessLog

	table atomic.Pointer[table]
	api   *backend // what is in flight to the control API

	mu        sync.Mutex
	backends  map[backendKey]*backend // those of the table
	leaving   []*backend              // those with requests still in flight
	published uint64                  // counts tables
	started   bool

	httpAddrs, httpsAddrs []netip.AddrPort
	stop                  context.CancelFunc // ends background work
	wait                  sync.WaitGroup
}

// New checks the configuration and returns a Proxy that does not listen yet. Publish may be called before Start.
func New(cfg Config) (*Proxy, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		cfg: cfg, log: cfg.Logger.With().Str("component", "proxy").Logger(), vault: newVault(cfg.Storage),
		h2c: newH2C(), pools: newPools(), api: newBackend(model.Backend{Name: "api"}), backends: map[backendKey]*backend{},
	}
	p.table.Store(&table{exact: map[string]*route{}, wild: map[string]*route{}})
	p.access = newAccessLog(cfg.AccessLog, p.log)
	p.certs = newCertificates(p)
	return p, nil
}

// Running tells whether a Proxy of this process has been started and not closed: there can be one at a time.
func Running() bool { return running.Load() != nil }

// Start listens and serves until Close. ctx bounds the start only.
func (p *Proxy) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started {
		return model.Conflict("the proxy has been started already")
	}
	if !running.CompareAndSwap(nil, p) {
		return model.Conflict("another proxy runs in this process").WithHint("close it first; one process can run one at a time")
	}
	if err := p.start(ctx); err != nil {
		running.CompareAndSwap(p, nil)
		return err
	}
	p.started = true
	return nil
}

func (p *Proxy) start(ctx context.Context) error {
	var err error
	if p.httpAddrs, err = p.addresses(p.cfg.HTTPAddr, false); err != nil {
		return err
	}
	if p.httpsAddrs, err = p.addresses(p.cfg.HTTPSAddr, true); err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	if err := p.certs.prepare(work); err != nil {
		stop()
		return err
	}
	p.stop = stop
	caddy.BufferedLog() // or the first lines would go to standard error
	if err := caddy.Load(p.caddyConfig(), true); err != nil {
		stop()
		p.certs.close()
		return fmt.Errorf("starting caddy: %w", err)
	}
	p.wait.Go(p.certs.run)
	p.wait.Go(p.certs.cleanUp)
	p.wait.Go(func() { p.access.run(work) })
	p.wait.Go(func() { p.sweep(work) })
	return nil
}

// apiGrace bounds how long Close waits for the control API: its calls are short, its streams have no end.
const apiGrace = 2 * time.Second

// Close stops listening, lets requests in flight finish until ctx ends, and cuts what is left then.
func (p *Proxy) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.started {
		p.mu.Unlock()
		return nil
	}
	p.started = false
	p.mu.Unlock()

	err := caddy.Stop() // stops accepting; requests in flight go on
	p.mu.Lock()
	all := append([]*backend(nil), p.leaving...)
	for _, b := range p.backends {
		all = append(all, b)
	}
	p.mu.Unlock()
	short, cancel := context.WithTimeout(ctx, apiGrace)
	defer cancel()
	_ = drain(short, []*backend{p.api})
	err = errors.Join(err, drain(ctx, all))
	for _, b := range all {
		b.closeIdle()
	}
	p.stop()
	p.wait.Wait()
	p.certs.close()
	running.CompareAndSwap(p, nil)
	return err
}

// HTTPAddr and HTTPSAddr return where the proxy listens, port 0 resolved. They are valid after Start.
func (p *Proxy) HTTPAddr() netip.AddrPort { return p.httpAddrs[0] }

// HTTPSAddr returns the address for HTTPS and, over UDP, HTTP/3.
func (p *Proxy) HTTPSAddr() netip.AddrPort { return p.httpsAddrs[0] }

// addresses returns what to listen on, having made sure that it is free: Caddy listens with SO_REUSEPORT, which would
// silently share a port with another program that does so too.
func (p *Proxy) addresses(addr string, udp bool) ([]netip.AddrPort, error) {
	host, portName, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, model.Invalid("%q is not an address", addr).Wrap(err)
	}
	port, err := net.LookupPort("tcp", portName)
	if err != nil {
		return nil, model.Invalid("%q is not a port", portName).Wrap(err)
	}
	hosts := p.cfg.BindIPs
	if len(hosts) == 0 {
		ip := netip.IPv6Unspecified()
		if host == "localhost" {
			host = "127.0.0.1"
		}
		if host != "" {
			if ip, err = netip.ParseAddr(host); err != nil {
				return nil, model.Invalid("%q is not an IP address", host).Wrap(err)
			}
		}
		hosts = []netip.Addr{ip}
	}
	var out []netip.AddrPort
	for _, ip := range hosts {
		got, err := probe(netip.AddrPortFrom(ip, uint16(port)), udp)
		if err != nil {
			return nil, err
		}
		port = int(got.Port()) // all listen on the same port
		out = append(out, got)
	}
	return out, nil
}

// probe finds out whether addr is free and, for port 0, which port is.
func probe(addr netip.AddrPort, udp bool) (netip.AddrPort, error) {
	for try := 0; ; try++ {
		ln, err := net.Listen("tcp", listenName(addr))
		if err != nil {
			return addr, bindError(addr, err)
		}
		got := netip.AddrPortFrom(addr.Addr(), uint16(ln.Addr().(*net.TCPAddr).Port))
		var uerr error
		if udp {
			var pc net.PacketConn
			if pc, uerr = net.ListenPacket("udp", listenName(got)); uerr == nil {
				_ = pc.Close()
			}
		}
		_ = ln.Close()
		if uerr == nil {
			return got, nil
		}
		if addr.Port() != 0 || try == 20 {
			return addr, bindError(got, uerr)
		}
	}
}

// listenName is addr as net.Listen wants it: all addresses of both families are written without a host.
func listenName(a netip.AddrPort) string {
	if a.Addr() == netip.IPv6Unspecified() {
		return ":" + strconv.Itoa(int(a.Port()))
	}
	return a.String()
}

func bindError(addr netip.AddrPort, err error) error {
	e := model.Errorf(model.KindUnavailable, "cannot listen on %s", listenName(addr)).Wrap(err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return e.WithWhy("another program listens there").WithHint("find it with: ss -ltnup 'sport = :%d'; stop it, or choose another port", addr.Port())
	case errors.Is(err, syscall.EACCES):
		return e.WithWhy("ports below 1024 need root").WithHint("run as root, or give the binary CAP_NET_BIND_SERVICE")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return e.WithWhy("this machine does not have that address").WithHint("see its addresses with: ip addr")
	}
	return e
}
