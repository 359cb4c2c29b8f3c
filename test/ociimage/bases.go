package ociimage

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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
	PnpmVersion   = "9.15.9"
	YarnVersion   = "4.9.4" // of those that package.json names; the base has a yarn 1, as the official image does
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

// Bases makes the images of the languages named: "debian", "golang", "node", "python", "ruby", "php", "composer", "rust",
// or "hugo", which is a "debian" with hugo for apt to install. They are kept below cache.
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
		case "ruby":
			d, names = ruby(), []string{"ruby:" + RubyVersion + "-bookworm", "ruby:" + RubyVersion + "-slim-bookworm"}
		case "php":
			d, names = php(), []string{"php:" + PHPVersion + "-apache"}
		case "composer":
			d, names = composer(), []string{"composer:2"}
		case "rust":
			d, names = rust(), []string{"rust:" + RustVersion + "-bookworm"}
		case "hugo":
			d, names = hugoSlim(), []string{"debian:bookworm-slim"}
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
	d.Files["/usr/local/go/go.env"] = File{Data: []byte("GOPROXY=file:///opt/goproxy\nGOSUMDB=off\nGOTOOLCHAIN=local\n")}
	if err := greeter(d.Files); err != nil {
		return d, err
	}
	d.Env = []string{"PATH=/go/bin:/usr/local/go/bin:" + strings.TrimPrefix(d.Env[0], "PATH="), "GOPATH=/go", "GOTOOLCHAIN=local"}
	return d, nil
}

// GoModule is the one Go module that builds on the base golang can fetch, and GoSum its lines of go.sum.
const (
	GoModule = "example.com/greet"
	GoSum    = "example.com/greet v1.0.0 h1:9V3tfUSKeNv26XWfbfefY4/+c2Czbghp+9aRZQmlWfU=\nexample.com/greet v1.0.0/go.mod h1:ezdhZKEu+Gj7LcQ7t5K3GBoyL2hW0fPYAdlIplX3cwM=\n"
)

// greeter adds a proxy of modules in a folder, with GoModule v1.0.0.
func greeter(files map[string]File) error {
	const mod = "module " + GoModule + "\n\ngo 1.20\n"
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	const code = "// Package greet greets.\npackage greet\n\n// Hello greets.\nfunc Hello(name string) string { return \"hello \" + name }\n"
	for _, f := range [][2]string{{"go.mod", mod}, {"greet.go", code}} {
		w, err := z.Create(GoModule + "@v1.0.0/" + f[0])
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"list": []byte("v1.0.0\n"), "v1.0.0.info": []byte(`{"Version":"v1.0.0"}`), "v1.0.0.mod": []byte(mod), "v1.0.0.zip": zipped.Bytes()} {
		files["/opt/goproxy/"+GoModule+"/@v/"+name] = File{Data: data}
	}
	return nil
}

// node is Debian's Node.js with the package managers of the npm registry: Debian's are hundreds of packages.
func node(ctx context.Context, cache string) (Debian, error) {
	d := slim("nodejs")
	packages, err := npmCache(ctx, cache)
	if err != nil {
		return d, err
	}
	d.Salt = filepath.Base(packages)
	d.Env = append(d.Env, "NODE_VERSION="+NodeVersion, "npm_config_cache=/opt/npm", "npm_config_offline=true", "npm_config_prefix=/usr/local")
	d.Trees = map[string]string{"/opt/npm": packages}
	for _, m := range []struct {
		name, version string
		commands      map[string]string
	}{
		{"npm", npmVersion, map[string]string{"npm": "bin/npm-cli.js", "npx": "bin/npx-cli.js"}},
		{"yarn", yarnVersion, map[string]string{"yarn": "bin/yarn.js"}},
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

// NpmPackages are those that builds on the base node can fetch, with all they need.
func NpmPackages() []string {
	return []string{
		"picocolors@1.1.1", "pnpm@" + PnpmVersion, "@yarnpkg/cli-dist@" + YarnVersion, "typescript@5.9.3",
		"vite@5.4.21", "esbuild@0.21.5", "@esbuild/linux-x64@0.21.5", "rollup@4.68.7", "@rollup/rollup-linux-x64-gnu@4.68.7",
		"@types/estree@1.0.10", "nanoid@3.3.20", "postcss@8.5.33", "source-map-js@1.2.4",
	}
}

// NpmLock is the package-lock.json of a package shop 1.0.0 that depends on picocolors 1.1.1, and TypeScriptLock of one
// that is developed with typescript 5.9.3 besides.
const NpmLock = `{
  "name": "shop",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {
      "name": "shop",
      "version": "1.0.0",
      "dependencies": {"picocolors": "1.1.1"}
    },
    "node_modules/picocolors": {
      "version": "1.1.1",
      "resolved": "https://registry.npmjs.org/picocolors/-/picocolors-1.1.1.tgz",
      "integrity": "sha512-xceH2snhtb5M9liqDsmEw56le376mTZkEX/jEb/RxNFyegNul7eNslCXP9FDj/Lcu0X8KEyMceP2ntpaHrDEVA==",
      "license": "ISC"
    }
  }
}
`

// TypeScriptLock is what NpmLock says it is.
const TypeScriptLock = `{
  "name": "shop",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {
      "name": "shop",
      "version": "1.0.0",
      "dependencies": {"picocolors": "1.1.1"},
      "devDependencies": {"typescript": "5.9.3"}
    },
    "node_modules/picocolors": {
      "version": "1.1.1",
      "resolved": "https://registry.npmjs.org/picocolors/-/picocolors-1.1.1.tgz",
      "integrity": "sha512-xceH2snhtb5M9liqDsmEw56le376mTZkEX/jEb/RxNFyegNul7eNslCXP9FDj/Lcu0X8KEyMceP2ntpaHrDEVA==",
      "license": "ISC"
    },
    "node_modules/typescript": {
      "version": "5.9.3",
      "resolved": "https://registry.npmjs.org/typescript/-/typescript-5.9.3.tgz",
      "integrity": "sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw==",
      "dev": true,
      "license": "Apache-2.0",
      "bin": {"tsc": "bin/tsc", "tsserver": "bin/tsserver"},
      "engines": {"node": ">=14.17"}
    }
  }
}
`

// npmCache returns a folder with npm's cache of NpmPackages.
func npmCache(ctx context.Context, cache string) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join(NpmPackages(), " ")))
	return once(filepath.Join(cache, "npm", "cache-"+hex.EncodeToString(sum[:6])), func(dir string) error {
		for _, p := range NpmPackages() {
			if text, err := exec.CommandContext(ctx, "npm", "cache", "add", p, "--cache", dir).CombinedOutput(); err != nil {
				return fmt.Errorf("npm cache add %s: %w\n%s", p, err, text)
			}
		}
		return os.RemoveAll(filepath.Join(dir, "_logs"))
	})
}

// once makes a folder that is whole as soon as it is there.
func once(dir string, fill func(dir string) error) (string, error) {
	if _, err := os.Stat(dir); err == nil {
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
	if err := fill(tmp); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, serr := os.Stat(dir); serr != nil { // another process was not faster
			return "", fmt.Errorf("keeping what was made: %w", err)
		}
	}
	return dir, os.Chmod(dir, 0o755)
}

// npmPackage returns the folder of an unpacked package of the npm registry.
func npmPackage(ctx context.Context, cache, name, version string) (string, error) {
	return once(filepath.Join(cache, "npm", name+"-"+version), func(dir string) error {
		for _, args := range [][]string{
			{"npm", "pack", "--silent", name + "@" + version},
			{"tar", "-xzf", name + "-" + version + ".tgz", "--strip-components=1"},
			{"rm", name + "-" + version + ".tgz"},
		} {
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Dir = dir
			if text, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text)
			}
		}
		return nil
	})
}

// python is Debian's Python with what venv needs, and one wheel more for projects to require.
func python() Debian {
	d := slim("python3", "python3-venv", "python3-wheel-whl")
	d.Links["/usr/local/bin/python"] = "/usr/bin/python3"
	d.Env = append(d.Env, "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/usr/share/python-wheels")
	d.Command = []string{"python3"}
	return d
}
