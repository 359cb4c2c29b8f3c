package main

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// workerdVersion is the peer, as npm has it.
const workerdVersion = "1.20261117.1"

// workerdPackage returns the npm package for this machine, and the checksum of its archive as the registry gave it for
// this version.
func workerdPackage() (name, integrity string, err error) {
	switch runtime.GOARCH {
	case "amd64":
		return "workerd-linux-64", "gZLA8X11m/luZwn+YA3+mDu61vdxNJzpksP/QZqjydKTQ+VUCulsK5gtn9Bqst1p3KJu2kafQpJ1nDQv4B23jA==", nil
	case "arm64":
		return "workerd-linux-arm64", "gxWngFojq41ULKNKb9rpWYvKotN5hT2I/xot+Bpy31cXzrwcTgtDLSMb2t75sW5BJxH7hihFvikgYb577kB3Zg==", nil
	}
	return "", "", fmt.Errorf("there is no workerd for %s", runtime.GOARCH)
}

// workerd returns the program, fetched with npm on first use.
func (s *setup) workerd(ctx context.Context) (string, error) {
	name, integrity, err := workerdPackage()
	if err != nil {
		return "", err
	}
	program := filepath.Join(s.cache, "workerd-"+workerdVersion)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	for command, debian := range map[string]string{"npm": "npm", "tar": "tar"} {
		if err := need(ctx, command, debian); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", s.dir, "@cloudflare/"+name+"@"+workerdVersion)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching workerd: %w\n%s", err, out)
	}
	archive := filepath.Join(s.dir, "cloudflare-"+name+"-"+workerdVersion+".tgz")
	text, err := os.ReadFile(archive)
	if err != nil {
		return "", fmt.Errorf("fetching workerd: %w", err)
	}
	if sum := sha512.Sum512(text); base64.StdEncoding.EncodeToString(sum[:]) != integrity {
		return "", fmt.Errorf("the archive of workerd %s is another than it was", workerdVersion)
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xzf", archive, "-C", s.dir, "package/bin/workerd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpacking workerd: %w\n%s", err, out)
	}
	if out, err := exec.CommandContext(ctx, "install", "-m", "0755", filepath.Join(s.dir, "package", "bin", "workerd"), program).CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing workerd: %w\n%s", err, out)
	}
	return program, nil
}

// workerdConfig runs one module on one address.
const workerdConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = %q, http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "main.js", esModule = embed "main.js")],
  compatibilityDate = "2026-01-01",
);
`

// startWorkerd serves a module with workerd, pinned to core.
func (s *setup) startWorkerd(ctx context.Context, module string, core int) (*peer, string, error) {
	program, err := s.workerd(ctx)
	if err != nil {
		return nil, "", err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp(s.dir, "workerd-")
	if err != nil {
		return nil, "", fmt.Errorf("preparing workerd: %w", err)
	}
	for name, text := range map[string]string{"main.js": module, "config.capnp": fmt.Sprintf(workerdConfig, addr)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, "", fmt.Errorf("preparing workerd: %w", err)
		}
	}
	p, err := startPeer(ctx, addr, onCore(core, program, "serve", filepath.Join(dir, "config.capnp")))
	return p, addr, err
}

// onCore returns a command that is kept on one core from its start, with all its threads and children.
func onCore(core int, program string, args ...string) *exec.Cmd {
	return exec.Command("taskset", append([]string{"-c", fmt.Sprint(core), program}, args...)...)
}
