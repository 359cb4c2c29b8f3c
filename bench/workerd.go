package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

//go:embed peers/workerd/package.json
var workerdPackage []byte

//go:embed peers/workerd/package-lock.json
var workerdLock []byte

// workerd returns the program, fetched with npm on first use: the version and its checksums stand in the lock file.
func (s *setup) workerd(ctx context.Context) (string, error) {
	if err := need(ctx, "npm", "npm"); err != nil {
		return "", err
	}
	platforms := map[string]string{"amd64": "64", "arm64": "arm64"}
	dir := filepath.Join(s.cache, fmt.Sprintf("workerd-%.8x", sha256.Sum256(workerdLock)))
	program := filepath.Join(dir, "node_modules", "@cloudflare", "workerd-linux-"+platforms[runtime.GOARCH], "bin", "workerd")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making workerd's directory: %w", err)
	}
	for name, text := range map[string][]byte{"package.json": workerdPackage, "package-lock.json": workerdLock} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", fmt.Errorf("preparing workerd: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching workerd: %w\n%s", err, out)
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
