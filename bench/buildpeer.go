package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
	"github.com/tonistiigi/fsutil"

	"github.com/pandabox/pandabox/test/ociimage"
)

// plainNamespace is where the peer works in the box's containerd: what it makes is not the box's.
const plainNamespace = "plain"

// plainBuildKit is stock buildkitd beside a box, in the same containerd, with the settings it comes with.
type plainBuildKit struct {
	cmd    *exec.Cmd
	done   chan struct{}
	client *client.Client
}

// buildkitd returns stock buildkitd of the version that pandabox is made with, built on first use.
func (s *setup) buildkitd(ctx context.Context) (string, error) {
	version, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", "github.com/moby/buildkit").Output()
	if err != nil {
		return "", fmt.Errorf("finding BuildKit's version: %w", err)
	}
	v := strings.TrimSpace(string(version))
	program := filepath.Join(s.cache, "buildkitd-"+v)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	dir, err := os.MkdirTemp(s.dir, "buildkitd-")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"mod", "init", "peer"},
		{"get", "github.com/moby/buildkit/cmd/buildkitd@" + v},
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/moby/buildkit/cmd/buildkitd"},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building buildkitd: %w\n%s", err, text)
		}
	}
	return program, nil
}

// plainBuildKit starts stock buildkitd with the bases.
func (s *setup) plainBuildKit(ctx context.Context, b *bench, bases []ociimage.Base) (_ *plainBuildKit, err error) {
	program, err := s.buildkitd(ctx)
	if err != nil {
		return nil, err
	}
	if err := importBases(ctx, b, plainNamespace, bases); err != nil {
		return nil, err
	}
	runc, err := filepath.Glob(filepath.Join(b.DataDir, "*", "*", "runc"))
	if err != nil || len(runc) == 0 {
		return nil, fmt.Errorf("the box has no runc: %w", err)
	}
	dir, err := os.MkdirTemp(b.Dir, "plain-")
	if err != nil {
		return nil, err
	}
	socket, config := filepath.Join(dir, "s"), filepath.Join(dir, "buildkitd.toml")
	text := fmt.Sprintf(`root = %q
[grpc]
  address = ["unix://%s"]
[worker.oci]
  enabled = false
[worker.containerd]
  enabled = true
  address = %q
  namespace = %q
  snapshotter = "overlayfs"
  networkMode = "host"
  [worker.containerd.runtime]
    name = %q
    options = { BinaryName = %q, Root = %q }
`, filepath.Join(dir, "root"), socket, filepath.Join(b.RunDir, "containerd.sock"), plainNamespace, filepath.Join(filepath.Dir(runc[0]), "shim"), runc[0], filepath.Join(dir, "runc"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p := &plainBuildKit{cmd: exec.Command(program, "--config", config), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting buildkitd: %w", err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.client, err = client.New(ctx, "unix://"+socket); err != nil {
		p.end(&err)
		return nil, err
	}
	for {
		if w, err := p.client.ListWorkers(ctx); err == nil && len(w) > 0 {
			return p, nil
		}
		select {
		case <-p.done:
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("buildkitd ended: %s\n%s", p.cmd.ProcessState, text)
		case <-ctx.Done():
			err = errors.New("buildkitd never answered")
			p.end(&err)
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// build makes an image of a folder with a Dockerfile, ready to run, as `docker build` does.
func (p *plainBuildKit) build(ctx context.Context, dir, name string) (time.Duration, error) {
	source, err := fsutil.NewFS(dir)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = p.client.Solve(ctx, nil, client.SolveOpt{
		Frontend: "dockerfile.v0", FrontendAttrs: map[string]string{"image-resolve-mode": "local"},
		LocalMounts: map[string]fsutil.FS{"context": source, "dockerfile": source},
		Exports:     []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{"name": "plain.local/" + name, "unpack": "true"}}},
		SharedKey:   dir,
	}, nil)
	if err != nil {
		return 0, fmt.Errorf("building with plain BuildKit: %w", err)
	}
	return time.Since(began), nil
}

func (p *plainBuildKit) end(err *error) {
	if p.client != nil {
		_ = p.client.Close()
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		*err = errors.Join(*err, errors.New("buildkitd outlived SIGTERM"), p.cmd.Process.Kill())
		<-p.done
	}
}

// importBases brings images to a namespace of the box's containerd, under the names that Dockerfiles use.
func importBases(ctx context.Context, b *bench, namespace string, bases []ociimage.Base) error {
	c, err := containerd.New(filepath.Join(b.RunDir, "containerd.sock"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx = namespaces.WithNamespace(ctx, namespace)
	for _, base := range bases {
		f, err := os.Open(base.Archive)
		if err != nil {
			return err
		}
		_, err = c.Import(ctx, f, containerd.WithDigestRef(func(digest.Digest) string { return "docker.io/library/" + base.Name }))
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("importing %s: %w", base.Name, err)
		}
	}
	return nil
}

// addBases brings images to the box, for its own builds.
func (b *bench) addBases(ctx context.Context, bases []ociimage.Base) error {
	return importBases(ctx, b, "pandabox", bases)
}
