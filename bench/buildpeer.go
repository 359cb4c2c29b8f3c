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
	"github.com/opencontainers/go-digest"

	"github.com/pandabox/pandabox/test/ociimage"
)

// plainNamespace is where the peer works in the box's containerd: what it makes is not the box's.
const plainNamespace = "plain"

// plainBuildKit is stock buildkitd beside a box, in the same containerd, with the settings it comes with but for one: its
// steps are in the control group of the box's builds, so that both have as much of the CPU.
type plainBuildKit struct {
	cmd     *exec.Cmd
	done    chan struct{}
	address string
	command string // buildctl
}

// buildkit returns stock buildkitd and buildctl of the version that pandabox is made with, built on first use.
func (s *setup) buildkit(ctx context.Context) (daemon, command string, err error) {
	version, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", "github.com/moby/buildkit").Output()
	if err != nil {
		return "", "", fmt.Errorf("finding BuildKit's version: %w", err)
	}
	v := strings.TrimSpace(string(version))
	daemon, command = filepath.Join(s.cache, "buildkitd-"+v), filepath.Join(s.cache, "buildctl-"+v)
	if _, err := os.Stat(command); err == nil {
		return daemon, command, nil
	}
	dir, err := os.MkdirTemp(s.dir, "buildkit-")
	if err != nil {
		return "", "", err
	}
	const from = "github.com/moby/buildkit/cmd/"
	for _, args := range [][]string{
		{"mod", "init", "peer"},
		{"get", from + "buildkitd@" + v, from + "buildctl@" + v},
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", daemon, from + "buildkitd"},
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", command, from + "buildctl"},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("building BuildKit: %w\n%s", err, text)
		}
	}
	return daemon, command, nil
}

// plainBuildKit starts stock buildkitd with the bases.
func (s *setup) plainBuildKit(ctx context.Context, b *bench, bases []ociimage.Base) (_ *plainBuildKit, err error) {
	program, command, err := s.buildkit(ctx)
	if err != nil {
		return nil, err
	}
	if err := importBases(ctx, b, bases); err != nil {
		return nil, err
	}
	runc, err := filepath.Glob(filepath.Join(b.DataDir, "*", "*", "runc"))
	if err != nil || len(runc) == 0 {
		return nil, fmt.Errorf("the box has no runc: %w", err)
	}
	info, err := b.Info(ctx)
	if err != nil {
		return nil, err
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
  defaultCgroupParent = %q
  [worker.containerd.runtime]
    name = "io.containerd.runc.v2"
    path = %q
    options = { BinaryName = %q, Root = %q }
`, filepath.Join(dir, "root"), socket, filepath.Join(b.RunDir, "containerd.sock"), plainNamespace, "/pandabox-"+info.Instance+"-builds", filepath.Join(filepath.Dir(runc[0]), "shim"), runc[0], filepath.Join(dir, "runc"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p := &plainBuildKit{cmd: exec.Command(program, "--config", config), done: make(chan struct{}), address: "unix://" + socket, command: command}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting buildkitd: %w", err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if exec.CommandContext(ctx, command, "--addr", p.address, "debug", "workers").Run() == nil {
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

// build makes an image of a folder with a Dockerfile, ready to run, and returns how long the command took.
func (p *plainBuildKit) build(ctx context.Context, dir, name string) (time.Duration, error) {
	began := time.Now()
	cmd := exec.CommandContext(ctx, p.command, "--addr", p.address, "build", "--progress", "plain", "--frontend", "dockerfile.v0", "--opt", "image-resolve-mode=local",
		"--local", "context="+dir, "--local", "dockerfile="+dir, "--output", "type=image,unpack=true,name=plain.local/"+name)
	if text, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building with plain BuildKit: %w\n%s", err, text)
	}
	return time.Since(began), nil
}

func (p *plainBuildKit) end(err *error) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		*err = errors.Join(*err, errors.New("buildkitd outlived SIGTERM"), p.cmd.Process.Kill())
		<-p.done
	}
}

// importBases brings images to the peer, under the names that Dockerfiles use.
func importBases(ctx context.Context, b *bench, bases []ociimage.Base) error {
	c, err := containerd.New(filepath.Join(b.RunDir, "containerd.sock"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx = namespaces.WithNamespace(ctx, plainNamespace)
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
	for _, base := range bases {
		if r := b.Box.Run(ctx, "build", "base", "add", "--name", base.Name, base.Archive); r.Code != 0 {
			return fmt.Errorf("pandabox build base add: exit %d\n%s%s", r.Code, r.Out, r.Err)
		}
	}
	return nil
}
