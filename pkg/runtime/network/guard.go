package network

import (
	"context"
	"errors"
	"time"
)

// guard puts back what others took away: reloading a firewall removes our tables and the host's accept rules, a network
// manager may remove a bridge it does not know, and a port 53 held by another program may come free.
func (m *Manager) guard(ctx context.Context) {
	t := time.NewTicker(guardEvery)
	defer t.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		m.repair(ctx)
		if round%hostFirewallEvery == 0 {
			m.openHostFirewall(ctx)
		}
	}
}

// repair does nothing where all is as it should be.
func (m *Manager) repair(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.up) == 0 || m.closed {
		return
	}
	if !m.rules.present() {
		m.log.Warn().Msg("another program removed the packet filter rules; putting them back")
		if err := m.applyRules(); err != nil {
			m.log.Error().Err(err).Msg("packet filter rules")
		}
	}
	for env, b := range m.up {
		if !linkUp(b.Name) {
			m.log.Warn().Str("bridge", b.Name).Msg("another program took a bridge down; putting it back")
			if err := m.restore(env, b); err != nil {
				m.log.Error().Err(err).Str("bridge", b.Name).Msg("bridge")
			}
		}
		if err := m.serveNames(ctx, env, b); err != nil {
			m.log.Error().Err(err).Str("bridge", b.Name).Msg("name server")
		}
	}
}

// restore makes the bridge again and joins its containers to it.
func (m *Manager) restore(env string, b Bridge) error {
	m.names.remove(env) // it listens on an address that went with the bridge
	if err := setUpBridge(b); err != nil {
		return err
	}
	var errs []error
	for _, a := range m.book.all() {
		if a.EnvID == env {
			errs = append(errs, m.adopt(a))
		}
	}
	return errors.Join(errs...)
}
