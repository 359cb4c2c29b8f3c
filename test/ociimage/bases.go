package ociimage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Base is an image for FROM, made on this machine, and the name that Dockerfiles know it by.
type Base struct {
	Name    string // "node:18-bookworm-slim"
	Archive string // a file: an OCI layout in a tar
}

// Versions of what the bases hold: those of Debian bookworm.
const (
	NodeVersion   = "18"
	PythonVersion = "3.11"
	npmVersion    = "10.8.2"
	yarnVersion   = "1.22.22"
	pnpmVersion   = "9.15.9"
)

// GoVersion is that of this machine's toolchain, in two parts: "1.26".
func GoVersion() string {
	parts := strings.Split(strings.TrimPrefix(runtime.Version(), "go"), ".")
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// CacheDir is where bases are kept on this machine.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "pandabox", "bases"), err
}

// Bases makes the images of the languages named: "debian", "golang", "node", "python". They are kept below cache.
func Bases(ctx context.Context, cache string, languages ...string) ([]Base, error) {
	var out []Base
	for _, l := range languages {
		var d Debian
		var names []string
		var err error
		switch l {
		case "debian":
			d, names = slim(), []string{"debian:bookworm-slim"}
		case "golang":
			d, err = golang(ctx)
			names = []string{"golang:" + GoVersion() + "-bookworm"}
		case "node":
			d, err = node(ctx, cache)
			names = []string{"node:" + NodeVersion + "-bookworm-slim"}
		case "python":
			d, names = python(), []string{"python:" + PythonVersion + "-bookworm", "python:" + PythonVersion + "-slim-bookworm"}
		default:
			err = fmt.Errorf("nobody knows how to make the base %q", l)
		}
		if err != nil {
			return nil, err
		}
		file, err := d.Archive(ctx, cache)
		if err != nil {
			return nil, fmt.Errorf("making the base %s: %w", l, err)
		}
		for _, n := range names {
			out = append(out, Base{Name: n, Archive: file})
		}
	}
	return out, nil
}

// slim is as small as a Debian is that people build on.
func slim(more ...string) Debian {
	const users = "root:x:0:0:root:/root:/bin/bash\nnode:x:1000:1000::/home/node:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	return Debian{
		Packages: append([]string{"base-files", "bash", "dash", "coreutils", "grep", "sed", "mawk", "findutils", "tar", "gzip", "ca-certificates", "libc-bin", "tzdata"}, more...),
		Files: map[string]File{
			"/etc/passwd": {Data: []byte(users)}, "/etc/group": {Data: []byte("root:x:0:\nnode:x:1000:\nnogroup:x:65534:\n")},
			"/etc/nsswitch.conf": {Data: []byte("hosts: files dns\n")},
		},
		Links:   map[string]string{"/usr/bin/awk": "mawk"},
		Leave:   []string{"usr/lib/x86_64-linux-gnu/perl-base", "usr/bin/perl", "usr/share/zoneinfo/right", "usr/lib/x86_64-linux-gnu/gconv"},
		Env:     []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Command: []string{"bash"},
	}
}

// golang is this machine's own toolchain: Debian's is too old.
func golang(ctx context.Context) (Debian, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return Debian{}, fmt.Errorf("finding Go: %w", err)
	}
	root := strings.TrimSpace(string(out))
	d := slim()
	d.Salt = runtime.Version()
	d.Trees = map[string]string{}
	for _, part := range []string{"bin", "lib", "pkg/include", "pkg/tool", "src"} {
		d.Trees["/usr/local/go/"+part] = filepath.Join(root, part)
	}
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return Debian{}, fmt.Errorf("finding Go: %w", err)
	}
	d.Files["/usr/local/go/VERSION"] = File{Data: version}
	d.Files["/usr/local/go/go.env"] = File{Data: []byte("GOPROXY=off\nGOSUMDB=off\nGOTOOLCHAIN=local\n")}
	d.Env = []string{"PATH=/go/bin:/usr/local/go/bin:" + strings.TrimPrefix(d.Env[0], "PATH="), "GOPATH=/go", "GOTOOLCHAIN=local"}
	return d, nil
}

// node is Debian's Node.js with the package managers of the npm registry: Debian's are hundreds of packages.
func node(ctx context.Context, cache string) (Debian, error) {
	d := slim("nodejs")
	d.Env = append(d.Env, "NODE_VERSION="+NodeVersion)
	d.Trees = map[string]string{}
	for _, m := range []struct {
		name, version string
		commands      map[string]string
	}{
		{"npm", npmVersion, map[string]string{"npm": "bin/npm-cli.js", "npx": "bin/npx-cli.js"}},
		{"yarn", yarnVersion, map[string]string{"yarn": "bin/yarn.js"}},
		{"pnpm", pnpmVersion, map[string]string{"pnpm": "bin/pnpm.cjs"}},
	} {
		dir, err := npmPackage(ctx, cache, m.name, m.version)
		if err != nil {
			return d, err
		}
		d.Trees["/usr/local/lib/node_modules/"+m.name] = dir
		for command, file := range m.commands {
			d.Links["/usr/local/bin/"+command] = "../lib/node_modules/" + m.name + "/" + file
		}
	}
	d.Command = []string{"node"}
	return d, nil
}

// npmPackage returns the folder of an unpacked package of the npm registry.
func npmPackage(ctx context.Context, cache, name, version string) (string, error) {
	dir := filepath.Join(cache, "npm", name+"-"+version)
	if _, err := os.Stat(filepath.Join(dir, "package.json")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("making the cache: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return "", fmt.Errorf("making the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	pack := exec.CommandContext(ctx, "npm", "pack", "--silent", name+"@"+version)
	pack.Dir = tmp
	if text, err := pack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w\n%s", name, err, text)
	}
	open := exec.CommandContext(ctx, "tar", "-xzf", name+"-"+version+".tgz")
	open.Dir = tmp
	if text, err := open.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpacking %s: %w\n%s", name, err, text)
	}
	if err := os.Rename(filepath.Join(tmp, "package"), dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("keeping %s: %w", name, err)
	}
	return dir, nil
}

// python is Debian's Python with what venv needs, and one wheel more for projects to require.
func python() Debian {
	d := slim("python3", "python3-venv", "python3-wheel-whl")
	d.Links["/usr/local/bin/python"] = "/usr/bin/python3"
	d.Env = append(d.Env, "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/usr/share/python-wheels")
	d.Command = []string{"python3"}
	return d
}
