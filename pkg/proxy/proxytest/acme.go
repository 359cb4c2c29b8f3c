// Package proxytest helps to test what the proxy needs from outside: it runs a real ACME server.
package proxytest

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// ACME is Pebble, the ACME server that the makers of Let's Encrypt test clients with, and a name server that says that
// every host is this machine.
type ACME struct {
	Directory string // URL
	RootFile  string // PEM file to check the server's own certificate against
	IssuingCA []byte // PEM of the root that its certificates lead to

	mu      sync.Mutex
	missing map[string]bool
}

// StartACME runs an ACME server until the test ends. It validates hosts at these ports of the loopback interface.
func StartACME(t testing.TB, httpPort, httpsPort int) *ACME {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	a := &ACME{missing: map[string]bool{}}

	resolver := a.serveNames(t)
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default"}})
	validator := va.New(quiet, httpPort, httpsPort, false, resolver, store)
	front := wfe.New(quiet, store, validator, authority, []string{"pebble.test"}, false, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)

	a.Directory = server.URL + wfe.DirectoryPath
	a.RootFile = filepath.Join(t.TempDir(), "acme-root.pem")
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(a.RootFile, root, 0o600); err != nil {
		t.Fatal(err)
	}
	a.IssuingCA = authority.GetRootCert(0).PEM()
	return a
}

// serveNames runs the name server, over UDP and TCP, and returns its address.
func (a *ACME) serveNames(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	for _, s := range []*dns.Server{{Listener: ln}, {PacketConn: pc}} {
		s.Handler = dns.HandlerFunc(a.resolve)
		served.Go(func() { _ = s.ActivateAndServe() })
	}
	t.Cleanup(func() {
		_, _ = ln.Close(), pc.Close()
		served.Wait()
	})
	return addr
}

// Lose makes a host unknown to the name server, and Find known again.
func (a *ACME) Lose(host string) { a.know(host, true) }

// Find undoes Lose.
func (a *ACME) Find(host string) { a.know(host, false) }

func (a *ACME) know(host string, missing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.missing[dns.Fqdn(host)] = missing
}

func (a *ACME) resolve(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	for _, question := range q.Question {
		a.mu.Lock()
		missing := a.missing[question.Name]
		a.mu.Unlock()
		switch {
		case missing:
			m.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1),
			})
		}
	}
	_ = w.WriteMsg(m)
}
