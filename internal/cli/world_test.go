package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/httpapi"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/reconcile"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/store"
)

// world is a box: the real API, use cases, store and controller, over a runtime in memory.
type world struct {
	url   string
	token string // an owner's
	claim string // a claim link
	caPEM []byte
	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey

	control *control.Control
	fake    *runtimetest.Fake
	end     func()
}

func newWorld(dir string) (w *world, err error) {
	w = &world{fake: runtimetest.NewFake(nil)}
	for _, ref := range []string{"registry.test/shop:1", "registry.test/shop:2", "registry.test/shop:sick"} {
		w.fake.AddRemote(model.Image{Ref: ref})
	}
	w.fake.AddRemote(model.Image{Ref: "registry.test/shop:crash", Config: &model.ImageConfig{Entrypoint: []string{"/app", "exit", "1"}}})
	ctx, cancel := context.WithCancel(context.Background())
	var closers []func()
	w.end = func() {
		cancel()
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	s, err := store.Open(filepath.Join(dir, "pandabox.db"), store.Options{})
	if err != nil {
		return nil, err
	}
	closers = append(closers, func() { _ = s.Close() })
	functions, closeFunctions, err := newWorldFunctions(ctx, dir)
	if err != nil {
		return nil, err
	}
	closers = append(closers, closeFunctions)
	builds := newWorldBuilds(dir, w.fake)
	server := httptest.NewUnstartedServer(nil)
	w.url = "https://" + server.Listener.Addr().String()
	w.control, err = control.New(ctx, control.Config{
		Store: s, KeyFile: control.KeyFile(dir), DataDir: dir, BaseDomain: "box.test", URL: w.url, Version: "0.0.1", Instance: "test",
		Images: w.fake, Runner: scriptRunner{}, Logs: scriptLogs{functions}, Certs: noCerts{},
		Functions: functions.host, KV: functions.kv, Sources: builds, Builder: builds,
	})
	if err != nil {
		return nil, err
	}
	leaf, err := w.makeCertificates()
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{Control: w.control, Logger: zerolog.Nop(), Version: "0.0.1", RootCA: func() []byte { return w.caPEM }})
	if err != nil {
		return nil, err
	}
	server.Config.Handler = api.Handler()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	server.EnableHTTP2 = true
	server.StartTLS()
	closers = append(closers, server.Close, func() { _ = api.Shutdown(context.WithoutCancel(ctx)) })
	controller, err := reconcile.New(reconcile.Config{
		State: s, Runtime: worldRuntime{w.fake, functions.host}, Images: w.fake, Router: noRouter{}, Environ: w.control, Builder: w.control.Builds, Prober: scriptProber{w.fake},
		LastLogLine: func(context.Context, string) string { return "PORT is not set" },
	})
	if err != nil {
		return nil, err
	}
	var running sync.WaitGroup
	running.Go(func() { _ = controller.Run(ctx) })
	closers = append(closers, func() { cancel(); running.Wait() })

	root := model.Actor{ID: "root", Name: "root on this box", Root: true}
	link, err := w.control.Box.NewClaim(ctx, root)
	if err != nil {
		return nil, err
	}
	w.claim = link.URL
	_, w.token, err = w.control.Tokens.Create(ctx, root, "", control.NewToken{Name: "tester", Role: model.RoleOwner})
	return w, err
}

// makeCertificates makes a CA and a certificate for the loopback address.
func (w *world) makeCertificates() (tls.Certificate, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &caKey.PublicKey, caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	if w.ca, err = x509.ParseCertificate(der); err != nil {
		return tls.Certificate{}, err
	}
	w.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.caKey = caKey
	return w.certificate(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
}

// certificate makes a certificate of the CA and its key.
func (w *world) certificate(leaf *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf.SerialNumber, leaf.NotBefore, leaf.NotAfter = big.NewInt(2), w.ca.NotBefore, w.ca.NotAfter
	leaf.ExtKeyUsage, leaf.KeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, leaf, w.ca, &key.PublicKey, w.caKey)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// writeCertificate writes a host's certificate to cert.pem in dir, and its key to key.pem.
func (w *world) writeCertificate(dir, host string) error {
	c, err := w.certificate(&x509.Certificate{DNSNames: []string{host}})
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}

// startWorld is newWorld for a test.
func startWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.end)
	return w
}

// scriptProber finds every replica healthy but those of an image tagged sick.
type scriptProber struct{ fake *runtimetest.Fake }

func (p scriptProber) Probe(ctx context.Context, c reconcile.Check) (string, error) {
	containers, err := p.fake.List(ctx)
	if err != nil {
		return "", err
	}
	for _, ct := range containers {
		if ct.Addr != c.Addr.Addr() {
			continue
		}
		if spec, ok := p.fake.Spec(ct.Name); ok {
			img, err := p.fake.Ensure(ctx, model.Image{Ref: "registry.test/shop:sick"}, nil)
			if err == nil && img.Digest == spec.Image {
				return "", errors.New("503 on /up")
			}
		}
	}
	return "healthy on /up", nil
}

type noRouter struct{}

func (noRouter) Publish(context.Context, []model.Route) error { return nil }
func (noRouter) Drain(context.Context, []string) error        { return nil }

type noCerts struct{}

func (noCerts) SetCertificate(context.Context, string, []byte, []byte) error { return nil }
func (noCerts) RemoveCertificate(context.Context, string) error              { return nil }
func (noCerts) Certificate(_ context.Context, host string) (model.CertificateStatus, error) {
	return model.CertificateStatus{Host: host, Issuer: "test CA", NotAfter: time.Now().Add(48*time.Hour + time.Minute)}, nil
}

// scriptRunner knows a few commands: echo, cat, exit, env, size.
type scriptRunner struct{}

func (r scriptRunner) Exec(ctx context.Context, _ string, spec model.ExecSpec) (int, error) {
	switch c := spec.Command; c[0] {
	case "echo":
		_, err := fmt.Fprintln(spec.Stdout, strings.Join(c[1:], " "))
		return 0, err
	case "warn":
		_, err := fmt.Fprintln(spec.Stderr, strings.Join(c[1:], " "))
		return 0, err
	case "env":
		_, err := fmt.Fprintln(spec.Stdout, strings.Join(spec.Env, "\n"))
		return 0, err
	case "cat":
		if spec.Stdin == nil {
			return 0, nil
		}
		_, err := io.Copy(spec.Stdout, spec.Stdin)
		return 0, err
	case "exit":
		return strconv.Atoi(c[1])
	case "key": // tells the size of its terminal, and the first byte that is typed
		size := <-spec.Resize
		_, _ = fmt.Fprintf(spec.Stdout, "%dx%d tty=%v\r\n", size.Cols, size.Rows, spec.TTY)
		var b [1]byte
		_, err := io.ReadFull(spec.Stdin, b[:])
		_, _ = fmt.Fprintf(spec.Stdout, "got %#x\r\n", b[0])
		return 3, err
	case "sleep":
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 127, nil
}

func (r scriptRunner) Run(ctx context.Context, _ model.ContainerSpec, spec model.ExecSpec) (int, error) {
	return r.Exec(ctx, "", spec)
}

func (scriptRunner) Usage(_ context.Context, names []string) (map[string]model.Usage, error) {
	out := map[string]model.Usage{}
	for _, n := range names {
		out[n] = model.Usage{Memory: 25 << 20}
	}
	return out, nil
}

// scriptLogs is the same log for every workload, until a function has printed something.
type scriptLogs struct{ functions *worldFunctions }

func (s scriptLogs) Logs(ctx context.Context, q model.LogQuery, yield func(model.LogLine) error) error {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	var lines []model.LogLine
	for i, text := range []string{"web listening on 8080", "worker waiting", "web GET / \x1b[32m200\x1b[0m \x1b]0;title\a"} {
		process, text, _ := strings.Cut(text, " ")
		if q.Process == "" || q.Process == process {
			lines = append(lines, model.LogLine{At: at.Add(time.Duration(i) * time.Second), Process: process, Index: 1, Release: 1, Stream: "stdout", Text: text})
		}
	}
	if printed := s.functions.printed(); len(printed) > 0 {
		lines = printed
	}
	if q.Tail >= 0 && q.Tail < len(lines) {
		lines = lines[len(lines)-q.Tail:]
	}
	for _, l := range lines {
		if err := yield(l); err != nil {
			return err
		}
	}
	if q.Follow {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

var (
	_ control.Runner       = scriptRunner{}
	_ control.LogReader    = scriptLogs{}
	_ control.Certificates = noCerts{}
	_ reconcile.Prober     = scriptProber{}
	_ reconcile.Router     = noRouter{}
)
