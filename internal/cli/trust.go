package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// caPath is where a box shows the certificate of its own CA, as PEM, to anybody.
const caPath = "/v1/ca"

// trust returns the CA to trust for a box, as PEM: "" where the system's roots are enough.
func (sh *shell) trust(ctx context.Context, a boxAddress, o loginOptions) (string, error) {
	if o.caFile != "" {
		b, err := os.ReadFile(sh.path(o.caFile))
		if err != nil {
			return "", model.NotFound("the CA file cannot be read").Wrap(err)
		}
		return string(b), nil
	}
	if strings.HasPrefix(a.url, "http://") {
		return "", nil
	}
	known, err := knownCA(ctx, a.url)
	if err != nil || known {
		return "", err
	}
	ca, err := fetchCA(ctx, a.url)
	if err != nil {
		return "", err
	}
	seen, want := fingerprint(ca), o.fingerprint
	if want == "" {
		want = a.fingerprint
	}
	switch {
	case want != "" && !sameFingerprint(seen, want):
		return "", model.Errorf(model.KindForbidden, "the CA of %s is not the one that was meant", a.host).
			WithWhy("it has the fingerprint %s, wanted was %s", seen, want).
			WithHint("somebody may stand between you and the box; see the right one on the box: pandabox claim")
	case want == "":
		if !sh.interactive() {
			return "", model.Errorf(model.KindForbidden, "%s uses certificates of its own CA", a.host).
				WithWhy("its fingerprint is %s", seen).
				WithHint("compare it with the box's, then add --ca-fingerprint %s", seen)
		}
		question := fmt.Sprintf("%s uses certificates of its own CA, with the fingerprint\n  %s\nIs it the one that the box shows?", a.host, seen)
		if err := sh.confirm(question, "--ca-fingerprint"); err != nil {
			return "", err
		}
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})), nil
}

// knownCA tells whether the system's roots vouch for the box.
func knownCA(ctx context.Context, address string) (bool, error) {
	_, _, err := get(ctx, address+caPath, &tls.Config{MinVersion: tls.VersionTLS12})
	if err == nil {
		return true, nil
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return false, nil
	}
	return false, unreachable(address, err)
}

// fetchCA asks a box for its CA and checks that the box's own certificate comes from it. Whether it is the right CA is for
// the caller to find out.
func fetchCA(ctx context.Context, address string) (*x509.Certificate, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address: %w", err)
	}
	var chain []*x509.Certificate
	insecure := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the certificate is checked below, against a CA that the caller checks
		VerifyConnection:   func(s tls.ConnectionState) error { chain = s.PeerCertificates; return nil },
	}
	status, body, err := get(ctx, address+caPath, insecure)
	if err != nil {
		return nil, unreachable(address, err)
	}
	none := model.Errorf(model.KindForbidden, "nobody vouches for the certificate of %s", u.Host).WithHint("if it is a box with a CA of its own, give the CA's certificate: --ca-file FILE")
	block, _ := pem.Decode(body)
	if status != http.StatusOK || block == nil {
		return nil, none.WithWhy("it is signed by an unknown authority, and the address shows no CA")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !ca.IsCA || len(chain) == 0 {
		return nil, none.WithWhy("what it shows as its CA is none")
	}
	options := x509.VerifyOptions{DNSName: u.Hostname(), Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	options.Roots.AddCert(ca)
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(options); err != nil {
		return nil, none.WithWhy("%s", err)
	}
	return ca, nil
}

// get returns the status and body of an answer.
func get(ctx context.Context, address string, config *tls.Config) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("asking for the CA: %w", err)
	}
	c := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: client.Dial, TLSClientConfig: config, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, body, err
}

func unreachable(address string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return model.Errorf(model.KindUnavailable, "no answer from %s", address).Wrap(err).WithHint("is the address right, and the box running?")
}

// fingerprint is the SHA-256 of a certificate, as people compare it.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// sameFingerprint compares as people write: any case, with colons or without.
func sameFingerprint(a, b string) bool {
	clean := func(s string) string {
		s = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "sha256:")
		return strings.NewReplacer(":", "", " ", "").Replace(s)
	}
	return clean(a) == clean(b)
}
