package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// brought makes a self-signed certificate as a user would bring one.
func brought(t testing.TB, until time.Time, names ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "brought"}, DNSNames: names,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encodePEM(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})
}

func TestCustomCertificate(t *testing.T) {
	store := newMemory()
	keep := func(c *Config) { c.Storage = store }
	custom := func(host string) model.Route {
		return model.Route{Host: host, WorkloadID: host, TLS: model.TLSCustom, State: model.RouteStarting}
	}
	routes := []model.Route{custom("a.example.com"), custom("*.b.example.com"), custom("c.example.com")}
	tomorrow := time.Now().Add(24 * time.Hour)
	certA, keyA := brought(t, tomorrow, "a.example.com")
	certB, keyB := brought(t, tomorrow, "*.b.example.com")
	check := func(t *testing.T, p *Proxy) {
		t.Helper()
		for host, root := range map[string][]byte{"a.example.com": certA, "x.b.example.com": certB, "c.example.com": p.RootCA()} {
			if _, err := handshake(p, host, root); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	t.Run("set", func(t *testing.T) {
		p := start(t, keep)
		publish(t, p, routes...)
		if s, err := p.Certificate(t.Context(), "a.example.com"); err != nil || s.Problem == "" {
			t.Errorf("before there is one: %+v, %v", s, err)
		}
		if err := p.SetCertificate(t.Context(), "A.example.com", certA, keyA); err != nil {
			t.Fatal(err)
		}
		if err := p.SetCertificate(t.Context(), "*.b.example.com", certB, keyB); err != nil {
			t.Fatal(err)
		}
		check(t, p)
		if s, err := p.Certificate(t.Context(), "a.example.com"); err != nil || s.Issuer != "brought" || s.Problem != "" || s.NotAfter.IsZero() {
			t.Errorf("%+v, %v", s, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		p := start(t, keep)
		old, oldKey := brought(t, time.Now().Add(-time.Hour), "a.example.com")
		for name, pair := range map[string][2][]byte{
			"garbage": {[]byte("x"), []byte("y")}, "another's key": {certA, keyB}, "another name": {certB, keyB}, "expired": {old, oldKey}, "nothing": {nil, nil},
		} {
			if err := p.SetCertificate(t.Context(), "a.example.com", pair[0], pair[1]); model.KindOf(err) != model.KindInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		publish(t, p, routes...)
		check(t, p) // what was there before still is
	})
	t.Run("one spoilt", func(t *testing.T) {
		if err := store.SaveBlob(customKey("c.example.com"), []byte("spoilt")); err != nil {
			t.Fatal(err)
		}
		p := start(t, keep)
		publish(t, p, routes...)
		check(t, p)
		if s, err := p.Certificate(t.Context(), "c.example.com"); err != nil || s.Problem == "" {
			t.Errorf("%+v, %v", s, err)
		}
	})
	t.Run("removed", func(t *testing.T) {
		p := start(t, keep)
		publish(t, p, routes...)
		if err := p.RemoveCertificate(t.Context(), "a.example.com"); err != nil {
			t.Fatal(err)
		}
		if _, err := handshake(p, "a.example.com", certA); err == nil {
			t.Error("it is still served")
		}
		if _, err := p.Certificate(t.Context(), "foreign.example.com"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("a foreign host: %v", err)
		}
	})
}
