// Package registrytest gives tests a container registry on the loopback interface.
package registrytest

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
)

// Options of a registry.
type Options struct {
	TLS                bool   // with a certificate nobody trusts yet
	Username, Password string // asked for when set
}

// Registry is a running registry.
type Registry struct {
	Host string // "127.0.0.1:PORT"
	CA   string // path of its certificate, when it speaks TLS

	srv      *httptest.Server
	opts     Options
	requests atomic.Int64
	spoil    atomic.Value // func(http.ResponseWriter, *http.Request) bool
}

// New starts a registry that ends with the test.
func New(t testing.TB, opts Options) *Registry {
	t.Helper()
	r := &Registry{opts: opts}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.requests.Add(1)
		if user, pass, _ := q.BasicAuth(); opts.Username != "" && (user != opts.Username || pass != opts.Password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		if spoil, _ := r.spoil.Load().(func(http.ResponseWriter, *http.Request) bool); spoil != nil && spoil(w, q) {
			return
		}
		inner.ServeHTTP(w, q)
	})
	if opts.TLS {
		r.srv = httptest.NewTLSServer(h)
		r.CA = filepath.Join(t.TempDir(), "ca.pem")
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.srv.Certificate().Raw})
		if err := os.WriteFile(r.CA, cert, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		r.srv = httptest.NewServer(h)
	}
	t.Cleanup(r.srv.Close)
	u, err := url.Parse(r.srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = u.Host
	return r
}

// URL is the registry's address with its scheme, as a mirror is named.
func (r *Registry) URL() string { return r.srv.URL }

// Requests returns how many requests have come so far.
func (r *Registry) Requests() int64 { return r.requests.Load() }

// Spoil lets fn answer requests in the registry's place; it tells whether it did.
func (r *Registry) Spoil(fn func(http.ResponseWriter, *http.Request) bool) { r.spoil.Store(fn) }

// Push uploads an image as NAME:TAG and returns its reference.
func (r *Registry) Push(t testing.TB, name string, img *runtimetest.Built) string {
	t.Helper()
	r.pushBlobs(t, name, img)
	r.put(t, name, runtimetest.MediaTypeManifest, img.Blobs[img.Manifest])
	return r.Host + "/" + name
}

// PushIndex uploads an index of several platforms and returns its reference.
func (r *Registry) PushIndex(t testing.TB, name string, images ...runtimetest.Platformed) string {
	t.Helper()
	repo, _, _ := strings.Cut(name, ":")
	for _, p := range images {
		r.pushBlobs(t, name, p.Image)
		r.put(t, repo+":"+p.Arch, runtimetest.MediaTypeManifest, p.Image.Blobs[p.Image.Manifest])
	}
	for _, f := range runtimetest.MultiPlatform(images...) {
		if f.Path == "/index.json" {
			r.put(t, name, "application/vnd.oci.image.index.v1+json", f.Content)
		}
	}
	return r.Host + "/" + name
}

func (r *Registry) pushBlobs(t testing.TB, name string, img *runtimetest.Built) {
	t.Helper()
	repo, _, _ := strings.Cut(name, ":")
	for digest, content := range img.Blobs {
		if digest == img.Manifest {
			continue
		}
		r.send(t, http.MethodPost, fmt.Sprintf("/v2/%s/blobs/uploads/?digest=%s", repo, digest), "application/octet-stream", content)
	}
}

func (r *Registry) put(t testing.TB, name, mediaType string, manifest []byte) {
	t.Helper()
	repo, tag, _ := strings.Cut(name, ":")
	r.send(t, http.MethodPut, fmt.Sprintf("/v2/%s/manifests/%s", repo, tag), mediaType, manifest)
}

func (r *Registry) send(t testing.TB, method, path, mediaType string, body []byte) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.srv.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", mediaType)
	q.SetBasicAuth(r.opts.Username, r.opts.Password)
	resp, err := r.srv.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		msg, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s: %s\n%s", method, path, resp.Status, msg)
	}
}
