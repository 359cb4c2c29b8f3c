package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/test/box"
)

// push runs git push in the folder, with more of an environment, and returns all it said.
func (f *folder) push(env []string, args ...string) (string, error) {
	f.Helper()
	_, port, _ := net.SplitHostPort(f.box.HTTPS)
	args = append([]string{"-c", "http.curloptResolve=" + box.Base + ":" + port + ":127.0.0.1"}, args...)
	cmd := exec.CommandContext(f.Context(), "git", args...)
	cmd.Dir = f.dir
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_SSL_CAINFO="+filepath.Join(f.box.DataDir, "ca.crt"))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// says insists on what git said.
func (f *folder) says(out string, want ...string) {
	f.Helper()
	for _, one := range want {
		if !regexp.MustCompile("(?m)" + one).MatchString(out) {
			f.Errorf("git push does not say %q:\n%s", one, out)
		}
	}
}

// TestGitPush is the life of an app that is pushed, over HTTPS and then over SSH.
func TestGitPush(t *testing.T) {
	f, addr := startSSH(t)
	token := strings.TrimSpace(f.cli(0, "tokens", "create", "git").Out)
	f.run(0, []string{`→ shop, production`}, "git", "remote")
	if r := f.remote(); !strings.HasPrefix(r, "https://") || !strings.HasSuffix(r, "/git/shop.git") {
		t.Errorf("the remote is %q", r)
	}
	with := []string{"PANDABOX_TOKEN=" + token, "PANDABOX_SOCKET=" + f.box.Socket(), "XDG_CONFIG_HOME=" + filepath.Join(f.box.Dir, "home")}

	out, err := f.push(with, "push", "pandabox", "main")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f.says(out, `^remote: → shop, production`, `^remote: .*COPY \. /`, `^remote: ✓ build `, `^remote: ✓ start `, `^remote: https://shop\..* release v1`, `main -> main$`)
	f.answers("shop", "/", "shop 1")

	f.dockerfile("2")
	f.commit("The second")
	if out, err := f.push(with, "push", "pandabox", "main"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f.answers("shop", "/", "shop 2")

	f.dockerfile("3", `RUN ["/missing"]`)
	f.commit("Broken")
	out, err = f.push(with, "push", "pandabox", "main")
	if err == nil {
		t.Fatalf("a failing build is taken:\n%s", out)
	}
	f.says(out, `! \[remote rejected\] main -> main \(build failed\)`, `^remote: error: `, `^remote:   try: `)
	f.answers("shop", "/", "shop 2")

	out, err = f.push(with, "push", "pandabox", "main:feature")
	if err == nil {
		t.Fatalf("a branch nobody wants is taken:\n%s", out)
	}
	f.says(out, `\[remote rejected\] main -> feature \(no environment tracks feature\)`)
	if out, err := f.push([]string{"PANDABOX_TOKEN=pbx_wrong"}, "push", "pandabox", "main"); err == nil || !strings.Contains(out, "Authentication failed") {
		t.Errorf("a wrong token: %v\n%s", err, out)
	}

	_, port, _ := net.SplitHostPort(addr)
	for name, args := range map[string][]string{port: nil, "2022": {"--ssh-port", "2022"}} { // the box's own, and another in front of it
		f.run(0, nil, append([]string{"git", "remote", "--ssh", "--name", "ssh" + name}, args...)...)
		if r, err := f.push(nil, "remote", "get-url", "ssh"+name); err != nil || strings.TrimSpace(r) != "ssh://git@"+net.JoinHostPort(box.Base, name)+"/shop.git" {
			t.Errorf("the remote is %q (%v)", r, err)
		}
	}
	f.git("reset", "-q", "--hard", "HEAD~1")
	f.dockerfile("4")
	f.commit("The fourth")
	f.overSSH(addr)
	f.answers("shop", "/", "shop 4")

	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := f.push(with, "clone", "-q", f.remote(), clone, "-c", "credential.helper=!"+f.box.Bin+" git credential"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(clone, "Dockerfile")); err != nil || !strings.Contains(string(b), "VERSION=4") {
		t.Errorf("the clone holds %q (%v)", b, err)
	}
}

// startSSH starts a box that takes pushes over SSH at an address, with the folder of an app.
func startSSH(t *testing.T) (f *folder, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return start(t, box.Options{Extra: "ssh_addr = \"" + addr + "\"\n"}).folder("shop"), addr
}

func (f *folder) remote() string {
	f.Helper()
	out, err := f.push(nil, "remote", "get-url", "pandabox")
	if err != nil {
		f.Fatal(out)
	}
	return strings.TrimSpace(out)
}

// keygen makes a key pair and returns the file of its private half.
func (f *folder) keygen() string {
	f.Helper()
	key := filepath.Join(f.TempDir(), "id")
	if out, err := exec.CommandContext(f.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f", key).CombinedOutput(); err != nil {
		f.Fatalf("%v\n%s", err, out)
	}
	return key
}

// overSSH pushes with a key of its own.
func (f *folder) overSSH(addr string) {
	f.Helper()
	key := f.keygen()
	env := []string{"GIT_SSH_COMMAND=ssh -F /dev/null -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i " + key}
	url := "ssh://git@" + addr + "/shop.git"
	if out, err := f.push(env, "push", url, "main"); err == nil || !strings.Contains(out, "Permission denied") {
		f.Errorf("a key nobody added: %v\n%s", err, out)
	}
	f.run(0, nil, "keys", "add", key+".pub")
	out, err := f.push(env, "push", url, "main")
	if err != nil {
		f.Fatalf("%v\n%s", err, out)
	}
	f.says(out, `^remote: https://shop\..* release v`)
	f.run(0, nil, "keys", "rm", "ada@laptop")
	if out, err := f.push(env, "push", url, "main"); err == nil || !strings.Contains(out, "Permission denied") {
		f.Errorf("a key that was removed: %v\n%s", err, out)
	}
}
