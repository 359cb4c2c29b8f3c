package runtime

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/pelletier/go-toml/v2"

	"github.com/pandabox/pandabox/pkg/model"
)

// registries is DataDir/registries.toml: how registries are reached.
//
//	[registry."docker.io"]
//	mirrors = ["https://mirror.example.com"]   # tried first, in order
//	username = "me"
//	password = "…"
//
//	[registry."registry.example.com:5000"]
//	ca = "/etc/ssl/example.pem"                # trusted besides the box's own
//	insecure = true                            # plain HTTP, which is the default for this box itself only
type registries struct {
	Registry map[string]registry `toml:"registry"`
}

type registry struct {
	Mirrors  []string `toml:"mirrors"`
	Username string   `toml:"username"`
	Password string   `toml:"password"`
	CA       string   `toml:"ca"`
	Insecure *bool    `toml:"insecure"`
}

// loadRegistries reads the file afresh, so that a change needs no restart. A missing file means defaults.
func loadRegistries(dataDir string) (registries, error) {
	path := filepath.Join(dataDir, "registries.toml")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return registries{}, nil
	}
	if err != nil {
		return registries{}, fmt.Errorf("reading %s: %w", path, err)
	}
	var out registries
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&out); err != nil {
		why := err.Error()
		if strict := (*toml.StrictMissingError)(nil); errors.As(err, &strict) {
			why = strict.String()
		}
		return registries{}, model.Invalid("%s cannot be read", path).WithWhy("%s", why).
			WithHint("each [registry.\"HOST\"] may hold mirrors, username, password, ca and insecure")
	}
	return out, nil
}

// hosts returns where images of a registry are asked for: its mirrors, then itself.
func (r registries) hosts(name string) ([]docker.RegistryHost, error) {
	reg := r.Registry[name]
	var out []docker.RegistryHost
	for _, m := range reg.Mirrors {
		u, err := url.Parse(m)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, model.Invalid("%q is not the address of a mirror of %s", m, name).WithHint(`write it as "https://HOST"`)
		}
		own := r.Registry[u.Host] // a mirror may have credentials of its own
		h, err := own.host(u.Host, u.Scheme)
		if err != nil {
			return nil, err
		}
		h.Path = filepath.Join(u.Path, "/v2")
		h.Capabilities = docker.HostCapabilityPull | docker.HostCapabilityResolve
		out = append(out, h)
	}
	host, scheme := name, "https"
	if name == "docker.io" {
		host = "registry-1.docker.io"
	}
	if local, err := docker.MatchLocalhost(name); err == nil && local && reg.CA == "" {
		scheme = "http"
	}
	if reg.Insecure != nil {
		scheme = map[bool]string{true: "http", false: "https"}[*reg.Insecure]
	}
	h, err := reg.host(host, scheme)
	if err != nil {
		return nil, err
	}
	return append(out, h), nil
}

func (r registry) host(host, scheme string) (docker.RegistryHost, error) {
	transport := docker.DefaultHTTPTransport(nil)
	if r.CA != "" {
		pem, err := os.ReadFile(r.CA)
		if err != nil {
			return docker.RegistryHost{}, fmt.Errorf("reading the certificate authority of %s: %w", host, err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return docker.RegistryHost{}, model.Invalid("%s holds no certificate", r.CA).WithHint("it must be in PEM form")
		}
		transport = docker.DefaultHTTPTransport(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	}
	client := &http.Client{Transport: transport}
	auth := docker.NewDockerAuthorizer(docker.WithAuthClient(client), docker.WithAuthCreds(func(string) (string, string, error) {
		return r.Username, r.Password, nil
	}))
	return docker.RegistryHost{
		Client: client, Authorizer: auth, Host: host, Scheme: scheme, Path: "/v2",
		Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve,
	}, nil
}
