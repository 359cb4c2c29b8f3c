package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"golang.org/x/time/rate"

	"github.com/pandabox/pandabox/pkg/model"
)

// Times and rates of public certificates.
const (
	// handshakeWait bounds how long a first visitor waits for a certificate that is being obtained.
	handshakeWait = 10 * time.Second
	// wildcardNames bounds how many names below one wildcard domain get a certificate within an hour: anybody can make
	// names up, and certificate authorities count.
	wildcardNames = 10
)

// publicHost is a host that is to have a public certificate.
type publicHost struct {
	name    string
	ctx     context.Context // of everything certmagic does for the host
	cancel  context.CancelFunc
	first   chan struct{} // closed when the first attempt has ended
	once    sync.Once
	problem atomic.Pointer[string] // why the last attempt failed; "" is well, nil is not yet known
}

// publicCert returns the name's public certificate, waiting a little if it is just being obtained for the first time.
func (c *certificates) publicCert(name string) *tls.Certificate {
	if cert := c.acme.cached(name); cert != nil {
		return cert
	}
	h := c.ensure(name)
	if h == nil {
		return nil
	}
	wait := time.NewTimer(handshakeWait)
	defer wait.Stop()
	select {
	case <-h.first:
	case <-wait.C:
	}
	return c.acme.cached(name)
}

// ensure returns the keeping of a public certificate for a name, begun now if need be: for one below a wildcard only
// if not too many such names came up lately.
func (c *certificates) ensure(name string) *publicHost {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.hosts[name]; ok {
		return h
	}
	if r := c.p.table.Load().find(name); r != nil && strings.HasPrefix(r.Host, "*.") {
		limit, ok := c.wildcards[r.Host]
		if !ok {
			limit = rate.NewLimiter(rate.Every(time.Hour/wildcardNames), wildcardNames)
			c.wildcards[r.Host] = limit
		}
		if !c.acme.stored(c.base, name) && !limit.Allow() {
			return nil
		}
	}
	h := c.add(name)
	c.wake()
	return h
}

// run keeps certificates for the hosts of the table until base ends.
func (c *certificates) run() {
	c.wake()
	for {
		select {
		case <-c.base.Done():
			return
		case <-c.signal:
			c.forget()
			if c.acme != nil {
				c.sync()
			}
		}
	}
}

// forget stops the renewal of own certificates for hosts that are no longer served.
func (c *certificates) forget() {
	var gone []certmagic.SubjectIssuer
	c.mu.Lock()
	for host := range c.own {
		if _, ok := c.mode(host); !ok {
			gone = append(gone, certmagic.SubjectIssuer{Subject: host})
			delete(c.own, host)
		}
	}
	c.mu.Unlock()
	c.internal.cache.RemoveManaged(gone)
}

// sync begins to keep public certificates for new hosts and stops for those that are gone.
func (c *certificates) sync() {
	want := map[string]bool{}
	add := func(host string) {
		if mode, ok := c.mode(host); ok && mode == model.TLSAuto && c.public(host) {
			want[host] = true
		}
	}
	for host := range c.p.table.Load().exact {
		add(host)
	}
	add(c.p.cfg.BaseDomain)

	c.mu.Lock()
	for host, h := range c.hosts {
		if want[host] {
			continue
		}
		if mode, ok := c.mode(host); ok && mode == model.TLSAuto {
			continue // below a wildcard
		}
		h.cancel()
		delete(c.hosts, host)
		c.acme.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: host}})
	}
	for host := range want {
		if _, ok := c.hosts[host]; !ok {
			c.add(host)
		}
	}
	begun := c.begun
	c.begun = nil
	c.mu.Unlock()
	for _, h := range begun {
		if h.ctx.Err() == nil {
			c.keep(h)
		}
	}
}

// add notes a host that is to be kept from the next sync on. c.mu is held.
func (c *certificates) add(host string) *publicHost {
	ctx, cancel := context.WithCancel(c.base)
	h := &publicHost{name: host, ctx: ctx, cancel: cancel, first: make(chan struct{})}
	c.hosts[host] = h
	c.begun = append(c.begun, h)
	return h
}

// keep begins to obtain and renew a host's public certificate. certmagic tries again after failures, less and less
// often, for thirty days, and goes on renewing from there. It calls onEvent, so c.mu must not be held.
func (c *certificates) keep(h *publicHost) {
	c.mend(c.acme, h.name)
	if err := c.acme.cfg.ManageAsync(h.ctx, []string{h.name}); err != nil {
		h.ended(err.Error())
	}
}

// ended notes how an attempt went; "" is well.
func (h *publicHost) ended(problem string) {
	h.problem.Store(&problem)
	h.once.Do(func() { close(h.first) })
}

// onEvent hears from certmagic how obtaining went.
func (c *certificates) onEvent(_ context.Context, event string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	if sans, ok := data["sans"].([]string); ok && len(sans) > 0 {
		host = sans[0]
	}
	c.mu.Lock()
	h := c.hosts[host]
	c.mu.Unlock()
	if h == nil {
		return nil
	}
	switch event {
	case "cached_managed_cert":
		h.ended("")
	case "cert_failed":
		err, _ := data["error"].(error)
		c.p.log.Warn().Str("host", host).AnErr("error", err).Msg("no certificate")
		h.ended(explain(err))
	}
	return nil
}

// explain says what a CA answered.
func explain(err error) string {
	var p acme.Problem
	if errors.As(err, &p) && p.Detail != "" {
		return p.Detail
	}
	if err == nil {
		return "unknown"
	}
	return err.Error()
}
