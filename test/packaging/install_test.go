package packaging

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// place is one of its own for install.sh: a bundle unpacked, and every path and port away from the machine's.
type place struct {
	*testing.T
	dir    string
	bundle string
	env    []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pbi-") // short: Unix sockets below it
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the users of containers pass through it
		t.Fatal(err)
	}
	p := &place{T: t, dir: dir}
	p.env = append(os.Environ(), "PREFIX="+dir+"/usr", "PANDABOX_CONFIG="+dir+"/etc/config.toml", "PANDABOX_DATA_DIR="+dir+"/data", "PANDABOX_RUN_DIR="+dir+"/run",
		"PANDABOX_HTTP_ADDR="+freeAddr(t), "PANDABOX_HTTPS_ADDR="+freeAddr(t), "PANDABOX_SUBNET=10.79.0.0/16")
	t.Cleanup(func() {
		if out, code := p.install("--uninstall", "--purge"); code != 0 {
			t.Errorf("uninstalling: exit %d\n%s", code, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	archive := strings.TrimSpace(output(t, exec.Command("../../packaging/bundle/build.sh", env(t, "PANDABOX_BIN"), "0.0.1", dir)))
	output(t, exec.Command("tar", "-C", dir, "-xzf", archive))
	p.bundle = strings.TrimSuffix(archive, ".tar.gz")
	return p
}

// install runs the bundle's install.sh and returns all it printed, and its exit code.
func (p *place) install(args ...string) (string, int) {
	p.Helper()
	cmd := exec.Command(filepath.Join(p.bundle, "install.sh"), args...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// expect fails unless install.sh ends with code 0 and prints every text.
func (p *place) expect(args []string, texts ...string) string {
	p.Helper()
	out, code := p.install(args...)
	if code != 0 {
		p.Fatalf("install.sh %v: exit %d\n%s", args, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			p.Fatalf("install.sh %v does not say %q:\n%s", args, text, out)
		}
	}
	return out
}

// TestInstallDemoAgainAndAway is the life of a box: installed with the demo, installed again with nothing to do, taken
// away with data kept, installed over that data, and taken away whole.
func TestInstallDemoAgainAndAway(t *testing.T) {
	p := newPlace(t)
	p.expect([]string{"--demo"}, "✓ listening on", "Own this box:  https://", "/claim/", "✓ hello deployed", "Hello from hello.", "Done.")
	again := p.expect([]string{"--demo"}, "hello deployed already", "Hello from hello.", "nothing was changed")
	if strings.Contains(again, "/claim/") {
		t.Errorf("the second run made another owner link:\n%s", again)
	}

	p.expect([]string{"--uninstall"}, "stopped every app", "kept: "+p.dir+"/data")
	if exists(p.dir+"/usr/bin/pandabox") || exists(p.dir+"/run") {
		t.Error("--uninstall left the program or its run directory behind")
	}
	if mounts := read(t, "/proc/mounts"); strings.Contains(mounts, p.dir) {
		t.Errorf("--uninstall left mounts behind:\n%s", mounts)
	}

	// Away again while the app is only just being started.
	p.expect(nil, "config.toml kept as it is", "✓ listening on")
	p.expect([]string{"--uninstall"}, "stopped every app")

	p.expect([]string{"--demo"}, "config.toml kept as it is", "hello deployed already", "Hello from hello.")
	p.expect([]string{"--uninstall", "--purge"}, "data removed", "config.toml removed")
	for _, path := range []string{"usr/bin/pandabox", "run", "data", "etc"} {
		if exists(filepath.Join(p.dir, path)) {
			t.Errorf("--purge left %s behind", path)
		}
	}
	p.expect([]string{"--uninstall", "--purge"}, "nothing was changed")
}

func TestInstallRefuses(t *testing.T) {
	p := newPlace(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port

	for _, c := range []struct {
		name string
		args []string
		env  string
		code int
		want []string
	}{
		{"an unknown option", []string{"--frobnicate"}, "", 2, []string{"--frobnicate is not an option", "try:"}},
		{"purge alone", []string{"--purge"}, "", 2, []string{"--purge goes with --uninstall"}},
		{"an option without its value", []string{"--domain"}, "", 2, []string{"--domain needs a value"}},
		{"quotes in the configuration", []string{"--domain", `a"b`}, "", 2, []string{"no quotes"}},
		{"a port that is taken", nil, fmt.Sprintf("PANDABOX_HTTPS_ADDR=127.0.0.1:%d", port), 1, []string{
			fmt.Sprintf("port %d is taken", port), fmt.Sprintf("by packaging.test (pid %d)", os.Getpid()), "try:",
		}},
		{"a place in memory that is too small", nil, "PANDABOX_DATA_DIR=/proc/sys/pandabox", 1, []string{"too little room", "try:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := *p
			q.T, q.env = t, append(append([]string{}, p.env...), c.env)
			out, code := q.install(c.args...)
			if code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if exists(p.dir + "/usr/bin/pandabox") {
				t.Error("it installed all the same")
			}
		})
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
