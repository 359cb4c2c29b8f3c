//go:build linux

package functions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bundle"
)

// buildTime bounds one command of a build: a cold Go compiler on a busy machine is the slowest.
const buildTime = 5 * time.Minute

// build writes a template as `pandabox fn init` does, builds it with the commands it names, and bundles it. What the
// commands made is kept under the user's cache directory by everything that goes into it, so that a build happens once.
func build(t *testing.T, template string) *bundle.Bundle {
	t.Helper()
	dir := t.TempDir()
	written, err := bundle.WriteTemplate(dir, "hello", template)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(bundle.Templates(), func(x bundle.Template) bool { return x.Name == template })
	if commands := bundle.Templates()[i].Build; len(commands) > 0 {
		cached(t, dir, written, commands)
	}
	b, err := bundle.Build(t.Context(), dir, bundle.Options{})
	if err != nil {
		t.Fatalf("%s: %v", template, err)
	}
	return b
}

// cached runs the commands in dir, or takes what they made the last time. That is main.wasm, or node_modules where there
// is none.
func cached(t *testing.T, dir string, written, commands []string) {
	t.Helper()
	sum := sha256.New()
	for _, f := range written {
		text, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(sum, "%s %d\n%s\n", f, len(text), text)
	}
	_, _ = fmt.Fprintln(sum, commands, versions(t, commands))
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(cache, "pandabox", "functions", hex.EncodeToString(sum.Sum(nil))[:32])
	for _, name := range []string{"main.wasm", "node_modules"} {
		if _, err := os.Stat(filepath.Join(kept, name)); err == nil {
			if err := os.Symlink(filepath.Join(kept, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	for _, c := range commands {
		if c == "make" {
			c = "make RUSTC=" + rustc(t)
		}
		ctx, cancel := context.WithTimeout(t.Context(), buildTime)
		cmd := exec.CommandContext(ctx, "sh", "-c", c)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=", "npm_config_audit=false", "npm_config_fund=false")
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
	made := "main.wasm"
	if _, err := os.Stat(filepath.Join(dir, made)); err != nil {
		made = "node_modules"
	}
	keep(t, filepath.Join(dir, made), kept, made)
}

// keep copies what was made into the cache, all of it or nothing.
func keep(t *testing.T, from, kept, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	half, err := os.MkdirTemp(filepath.Dir(kept), ".half-*")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(half) }()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, filepath.Join(half, name)).CombinedOutput(); err != nil {
		t.Fatalf("keeping %s: %v\n%s", name, err, out)
	}
	if err := os.Rename(half, kept); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

// versions names the compilers, which are a part of what is built.
func versions(t *testing.T, commands []string) string {
	t.Helper()
	if commands[0] != "make" {
		return "" // package.json says which
	}
	var all []string
	for _, c := range [][]string{{"go", "version"}, {"clang", "--version"}, {rustc(t), "--version"}} {
		out, err := exec.CommandContext(t.Context(), c[0], c[1:]...).Output()
		if err != nil {
			t.Fatalf("%s: %v (install what the tests need: make test-deps)", c[0], err)
		}
		all = append(all, string(out))
	}
	return strings.Join(all, "")
}

// rustc returns a compiler that has the target: one of rustup's that comes first in PATH may not.
func rustc(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		out, err := exec.CommandContext(t.Context(), name, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(out))); err == nil {
			return name
		}
	}
	t.Fatal("no rustc has the target wasm32-unknown-unknown: apt install rustc libstd-rust-dev-wasm32")
	return ""
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
