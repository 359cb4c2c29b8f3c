// Package packaging tests what brings pandabox onto a box: the Debian package, the bundle and install.sh, with the built
// program ($PANDABOX_BIN) and the pinned packager ($NFPM).
package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDebHoldsWhatItShould(t *testing.T) {
	deb := buildDeb(t, env(t, "PANDABOX_BIN"), t.TempDir())
	list := output(t, exec.Command("dpkg-deb", "--contents", deb))
	for _, want := range []string{
		"-rwxr-xr-x root/root  ./usr/bin/pandabox",
		"-rw-r--r-- root/root  ./usr/lib/systemd/system/pandabox.service",
		"-rw------- root/root  ./etc/pandabox/config.toml",
		"-rw-r--r-- root/root  ./usr/share/bash-completion/completions/pandabox",
		"-rw-r--r-- root/root  ./usr/share/doc/pandabox/copyright",
	} {
		if !hasEntry(list, want) {
			t.Errorf("no %s in\n%s", want, list)
		}
	}
	dir := t.TempDir()
	output(t, exec.Command("dpkg-deb", "--extract", deb, dir))
	unit := read(t, filepath.Join(dir, "usr/lib/systemd/system/pandabox.service"))
	program := strings.Fields(strings.TrimPrefix(unit[strings.Index(unit, "ExecStart="):], "ExecStart="))[0]
	if !bytes.Equal([]byte(read(t, filepath.Join(dir, program))), []byte(read(t, env(t, "PANDABOX_BIN")))) {
		t.Errorf("%s, which the unit starts, is not the program", program)
	}
	if field := output(t, exec.Command("dpkg-deb", "--field", deb, "Version")); strings.TrimSpace(field) != debVersion {
		t.Errorf("version %s", field)
	}
}

// hasEntry tells whether a line of dpkg-deb's listing has the mode, owner and name of want, whatever its size and time.
func hasEntry(list, want string) bool {
	w := strings.Fields(want)
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 6 && f[0] == w[0] && f[1] == w[1] && f[5] == w[2] {
			return true
		}
	}
	return false
}

func TestDebIsReproducible(t *testing.T) {
	stand := standIn(t)
	a, b := buildDeb(t, stand, t.TempDir()), buildDeb(t, stand, t.TempDir())
	if read(t, a) != read(t, b) {
		t.Error("two builds of the same input differ")
	}
}

// TestDebLifecycle installs, upgrades, removes and purges the package in a root directory of its own, and in namespaces
// of its own: what its scripts stop is not the machine's.
func TestDebLifecycle(t *testing.T) {
	root := scratchRoot(t)
	dpkg := func(args ...string) {
		t.Helper()
		output(t, exec.Command("unshare", append([]string{"--net", "--mount", "--pid", "--fork", "dpkg", "--root=" + root, "--force-depends"}, args...)...))
	}
	deb := buildDeb(t, env(t, "PANDABOX_BIN"), t.TempDir())
	program, config, data := filepath.Join(root, "usr/bin/pandabox"), filepath.Join(root, "etc/pandabox/config.toml"), filepath.Join(root, "var/lib/pandabox/pandabox.db")

	dpkg("--install", deb)
	if read(t, program) != read(t, env(t, "PANDABOX_BIN")) {
		t.Error("the program installed is another")
	}
	write(t, config, "offline = true\n")
	write(t, data, "apps")

	dpkg("--install", deb)
	if got := read(t, config); got != "offline = true\n" {
		t.Errorf("the upgrade changed the configuration: %q", got)
	}

	dpkg("--remove", "pandabox")
	if exists(program) {
		t.Error("the program is still there")
	}
	if !exists(data) || !exists(config) {
		t.Error("removing took data or configuration away")
	}

	dpkg("--purge", "pandabox")
	for _, path := range []string{filepath.Dir(data), filepath.Dir(config)} {
		if exists(path) {
			t.Errorf("%s is still there", path)
		}
	}
}

const debVersion = "0.0.1+test"

func buildDeb(t *testing.T, binary, dir string) string {
	t.Helper()
	cmd := exec.Command("../../packaging/deb/build.sh", binary, debVersion, dir)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1800000000", "NFPM="+env(t, "NFPM"))
	return strings.TrimSpace(output(t, cmd))
}

// standIn is a small program where the size of the real one does not matter.
func standIn(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "pandabox")
	write(t, name, "#!/bin/sh\necho completion\n")
	if err := os.Chmod(name, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// scratchRoot makes a root directory with the few programs maintainer scripts call.
func scratchRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "usr/bin", "usr/lib", "usr/lib64", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "")
	write(t, filepath.Join(root, "dev/null"), "")
	for _, name := range []string{"sh", "rm", "rmdir"} {
		copyProgram(t, root, "/bin/"+name)
	}
	return root
}

// copyProgram copies a program of this machine, with the libraries it needs, to the same place below root.
func copyProgram(t *testing.T, root, name string) {
	t.Helper()
	files := []string{name}
	for _, word := range strings.Fields(output(t, exec.Command("ldd", name))) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	for _, f := range files {
		to := filepath.Join(root, f)
		write(t, to, read(t, f))
		if err := os.Chmod(to, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func env(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run make test", name)
	}
	return v
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, &out, &errOut)
	}
	return out.String()
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
