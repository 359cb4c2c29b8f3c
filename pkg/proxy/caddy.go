package proxy

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
)

const (
	shutdownGrace  = 5 * time.Minute // upper bound; Close has its own
	maxHeaderBytes = 64 << 10        // of a request
)

// running is the handle through which the modules Caddy makes find the Proxy they belong to. Caddy makes them from a
// registered constructor without arguments and keeps one configuration per process, hence one variable.
var running atomic.Pointer[Proxy]

func init() { // Caddy knows no other way to register modules
	caddy.RegisterModule(handlerModule{})
	caddy.RegisterModule(storageModule{})
	caddy.RegisterModule(permissionModule{})
	caddy.RegisterModule(managerModule{})
	caddy.RegisterModule(logModule{})
}

type object = map[string]any

// caddyConfig returns Caddy's whole configuration. It says nothing about routes: those are in the table.
func (p *Proxy) caddyConfig() []byte {
	server := func(addrs []netip.AddrPort, more object) object {
		listen := make([]string, len(addrs))
		for i, a := range addrs {
			listen[i] = listenName(a)
		}
		s := object{
			"listen": listen,
			"routes": []object{{"handle": []object{{"handler": "pandabox"}}}},
			// The table says what is served how; Caddy must neither redirect nor manage anything by itself.
			"automatic_https":     object{"disable": true},
			"read_header_timeout": p.cfg.Timeouts.Header,
			"idle_timeout":        p.cfg.Timeouts.Idle,
			"max_header_bytes":    maxHeaderBytes,
			// Caddy's own stall timers cost two timer changes for each read and write; ours start with the first 64 KiB.
			"read_idle_timeout":  -1,
			"write_idle_timeout": -1,
			"allow_0rtt":         false, // a replayed early request could repeat a POST
		}
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	b, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "DEBUG", "writer": object{"output": "discard"}, "core": object{"module": "pandabox"}}}},
		"storage": object{"module": "pandabox"},
		"apps": object{
			"http": object{
				"http_port": p.HTTPAddr().Port(), "https_port": p.HTTPSAddr().Port(), "grace_period": shutdownGrace,
				"servers": object{
					// With h1 alone Caddy would wrap each connection, and the kernel could not send files; requests of HTTP/2 are refused in serve.
					"http":  server(p.httpAddrs, object{"protocols": []string{"h1", "h2c"}}),
					"https": server(p.httpsAddrs, object{"protocols": []string{"h1", "h2", "h3"}, "tls_connection_policies": []object{{}}}),
				},
			},
			"tls": object{
				"disable_storage_check": true, "disable_storage_clean": true,
				"automation": object{
					"on_demand": object{"permission": object{"module": "pandabox"}},
					"policies": []object{{
						"on_demand": true, "issuers": []object{{"module": "internal"}}, "get_certificate": []object{{"via": "pandabox"}},
					}},
				},
			},
			"pki": object{"certificate_authorities": object{"local": object{
				"name": "pandabox", "root_common_name": "pandabox root", "intermediate_common_name": ownIssuer,
				"intermediate_lifetime": intermediateLifetime, "install_trust": false,
			}}},
		},
	})
	if err != nil {
		panic(err) // plain values only
	}
	return b
}

// handlerModule is the one HTTP handler there is.
type handlerModule struct{ p *Proxy }

var (
	_ caddy.Provisioner           = (*handlerModule)(nil)
	_ caddyhttp.MiddlewareHandler = (*handlerModule)(nil)
)

// CaddyModule implements caddy.Module.
func (handlerModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.pandabox", New: func() caddy.Module { return new(handlerModule) }}
}

// Provision implements caddy.Provisioner.
func (h *handlerModule) Provision(caddy.Context) error {
	h.p = running.Load()
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *handlerModule) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	h.p.serve(w, r)
	return nil
}

// storageModule gives Caddy our storage.
type storageModule struct{}

var _ caddy.StorageConverter = (*storageModule)(nil)

// CaddyModule implements caddy.Module.
func (storageModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.pandabox", New: func() caddy.Module { return new(storageModule) }}
}

// CertMagicStorage implements caddy.StorageConverter.
func (*storageModule) CertMagicStorage() (certmagic.Storage, error) { return running.Load().vault, nil }
