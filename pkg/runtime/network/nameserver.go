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
)

// nameservers runs one name server per environment, on the gateway's port 53.
type nameservers struct {
	book     *book
	upstream *forwarder
	log      zerolog.Logger

	mu     sync.Mutex
	byEnv  map[string]*nameserver
	warned map[string]bool // environments whose failure to listen was logged
}

type nameserver struct {
	gateway netip.Addr
	servers []*dns.Server
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

func newNameservers(b *book, up *forwarder, log zerolog.Logger) *nameservers {
	return &nameservers{book: b, upstream: up, log: log, byEnv: map[string]*nameserver{}, warned: map[string]bool{}}
}

// ensure starts the environment's name server unless it runs. A port held by another program is logged once; the
// caller tries again later.
func (n *nameservers) ensure(env string, gateway netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.byEnv[env]; ok {
		if s.gateway == gateway {
			return
		}
		_ = s.close()
		delete(n.byEnv, env)
	}
	s, err := startNameserver(gateway, func(ctx context.Context) dns.Handler {
		return &zone{ctx: ctx, env: env, book: n.book, upstream: n.upstream}
	})
	if err != nil {
		if !n.warned[env] {
			n.log.Error().Err(err).Str("environment", env).
				Msg("apps of the environment cannot look up names; is another name server listening on every address?")
		}
		n.warned[env] = true
		return
	}
	delete(n.warned, env)
	n.byEnv[env] = s
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

func startNameserver(gateway netip.Addr, handler func(context.Context) dns.Handler) (*nameserver, error) {
	addr := netip.AddrPortFrom(gateway, 53).String()
	var lc net.ListenConfig
	udp, err := lc.ListenPacket(context.Background(), "udp4", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for names: %w", err)
	}
	tcp, err := lc.Listen(context.Background(), "tcp4", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for names: %w", err), udp.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &nameserver{gateway: gateway, cancel: cancel}
	h := handler(ctx)
	s.servers = []*dns.Server{
		{PacketConn: udp, Handler: h, UDPSize: 4096},
		{Listener: tcp, Handler: h, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second},
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
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.ShutdownContext(ctx))
	}
	s.done.Wait()
	return errors.Join(errs...)
}
