package proxy

import (
	"context"
	"crypto/tls"
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// managerModule gives Caddy the certificates for its handshakes.
type managerModule struct{ c *certificates }

var (
	_ caddy.Provisioner = (*managerModule)(nil)
	_ certmagic.Manager = (*managerModule)(nil)
)

// CaddyModule implements caddy.Module.
func (managerModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.get_certificate.pandabox", New: func() caddy.Module { return new(managerModule) }}
}

// Provision implements caddy.Provisioner.
func (m *managerModule) Provision(ctx caddy.Context) error {
	m.c = running.Load().certs
	return m.c.provision(ctx)
}

// GetCertificate implements certmagic.Manager.
func (m *managerModule) GetCertificate(_ context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.c.get(hello)
}

// permissionModule lets in only hosts that are served.
type permissionModule struct{}

// CaddyModule implements caddy.Module.
func (permissionModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.pandabox", New: func() caddy.Module { return new(permissionModule) }}
}

// CertificateAllowed implements caddytls.OnDemandPermission.
func (permissionModule) CertificateAllowed(_ context.Context, name string) error {
	p := running.Load()
	if p == nil {
		return errors.New("the proxy is closed")
	}
	return p.certs.allow(name)
}
