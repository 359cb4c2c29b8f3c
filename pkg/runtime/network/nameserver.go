package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"
)

// Where names are answered on a gateway. Some hosts have a name server of their own on every address (dnsmasq, Pi-hole);
// then ours takes the other port, and a rule leads the apps' questions there.
const (
	dnsPort      = 53
	otherDNSPort = 10053
)

// nameservers runs one name server per environment, on the gateway.
type nameservers struct {
	book     *book
	upstream *forwarder
	hosted   func(ctx context.Context, envID, name string) bool // or nil
	log      zerolog.Logger

	mu     sync.Mutex
	byEnv  map[string]*nameserver
	warned map[string]bool // environments whose failure to listen was logged
}

type nameserver struct {
	addr    netip.AddrPort
	servers []*dns.Server
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

func newNameservers(b *book, up *forwarder, hosted func(ctx context.Context, envID, name string) bool, log zerolog.Logger) *nameservers {
	return &nameservers{book: b, upstream: up, hosted: hosted, log: log, byEnv: map[string]*nameserver{}, warned: map[string]bool{}}
}

// ensure starts the environment's name server unless it runs, and returns its port. It ends with remove or closeAll, not
// with ctx. Where both ports are held by other
// programs it says so once and returns 0; the caller tries again later.
func (n *nameservers) ensure(ctx context.Context, env string, gateway netip.Addr) uint16 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.byEnv[env]; ok {
		if s.addr.Addr() == gateway {
			return s.addr.Port()
		}
		_ = s.close()
		delete(n.byEnv, env)
	}
	handler := func(ctx context.Context) dns.Handler {
		return &zone{ctx: ctx, env: env, gateway: gateway, book: n.book, hosted: n.hosted, upstream: n.upstream, slots: make(chan struct{}, maxForwards)}
	}
	s, err := startNameserver(ctx, netip.AddrPortFrom(gateway, dnsPort), handler)
	if errors.Is(err, unix.EADDRINUSE) {
		s, err = startNameserver(ctx, netip.AddrPortFrom(gateway, otherDNSPort), handler)
	}
	if err != nil {
		if !n.warned[env] {
			n.log.Error().Err(err).Str("environment", env).Msg("apps of the environment cannot look up names")
		}
		n.warned[env] = true
		return 0
	}
	delete(n.warned, env)
	n.byEnv[env] = s
	return s.addr.Port()
}

// port returns where the environment's names are answered, 0 where they are not.
func (n *nameservers) port(env string) uint16 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.byEnv[env]; ok {
		return s.addr.Port()
	}
	return 0
}

func (n *nameservers) remove(env string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.byEnv[env]; ok {
		_ = s.close()
		delete(n.byEnv, env)
	}
}

func (n *nameservers) closeAll() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for env, s := range n.byEnv {
		errs = append(errs, s.close())
		delete(n.byEnv, env)
	}
	return errors.Join(errs...)
}

func startNameserver(ctx context.Context, addr netip.AddrPort, handler func(context.Context) dns.Handler) (*nameserver, error) {
	var lc net.ListenConfig
	udp, err := lc.ListenPacket(ctx, "udp4", addr.String())
	if err != nil {
		return nil, fmt.Errorf("listening for names: %w", err)
	}
	tcp, err := lc.Listen(ctx, "tcp4", addr.String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for names: %w", err), udp.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &nameserver{addr: addr, cancel: cancel}
	h := handler(ctx)
	s.servers = []*dns.Server{
		{PacketConn: udp, Handler: h, UDPSize: 4096},
		{Listener: netutil.LimitListener(tcp, maxConnections), Handler: h, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second},
	}
	for _, srv := range s.servers {
		started, ended := make(chan struct{}), make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		s.done.Go(func() {
			defer close(ended)
			_ = srv.ActivateAndServe() // the listeners are open already: it fails only when they are closed
		})
		select { // a server that has not started cannot be shut down
		case <-started:
		case <-ended:
		}
	}
	return s, nil
}

// close stops listening and waits until the questions under way have been answered or given up.
func (s *nameserver) close() error {
	s.cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Shutdown())
	}
	s.done.Wait()
	return errors.Join(errs...)
}
