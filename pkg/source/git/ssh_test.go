package git

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/source"
)

// door is a world with a real SSH listener and a key for it.
type door struct {
	*world
	addr, key string
	env       []string
	signer    ssh.Signer
	stop      func()
}

func newDoor(t *testing.T) *door { return newDoorOf(t, Config{}) }

func newDoorOf(t *testing.T, c Config) *door {
	t.Helper()
	w := newWorld(t, c)
	hostKey := filepath.Join(t.TempDir(), "keys", "ssh")
	d, err := w.server.NewSSH(t.Context(), hostKey)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.server.NewSSH(t.Context(), hostKey)
	if err != nil || again.HostKey() != d.HostKey() {
		t.Fatalf("the host key does not last: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, l) }()
	out := &door{world: w, addr: l.Addr().String(), key: filepath.Join(t.TempDir(), "id")}
	out.stop = func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the SSH door does not close")
		}
	}
	t.Cleanup(func() {
		if ctx.Err() == nil {
			out.stop()
		}
	})
	out.signer = out.newKey(out.key)
	w.admit(string(out.signer.PublicKey().Marshal()))
	_, port, _ := net.SplitHostPort(out.addr)
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte("[127.0.0.1]:"+port+" "+d.HostKey()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.env = []string{"GIT_SSH_COMMAND=ssh -F /dev/null -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=" + known + " -i " + out.key}
	w.url = "ssh://git@" + out.addr + "/shop.git"
	return out
}

func (d *door) newKey(file string) ssh.Signer {
	d.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		d.t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *door) run(args ...string) (string, error) {
	d.t.Helper()
	return gitIn(d.t, d.dir, d.env, args...)
}

func TestPushOverSSH(t *testing.T) {
	d := newDoor(t)
	d.commit("one", map[string]string{"a": "1"})
	out, err := d.run("push", d.url, "main")
	if err != nil || !strings.Contains(out, "remote: https://shop.example.com  release v1") {
		t.Fatalf("%v\n%s", err, out)
	}
	d.commit("two", map[string]string{"a": "2"})
	d.answers(func(context.Context, source.Arrival, func(string)) (Outcome, error) { return Outcome{}, errBuild })
	if out, err := d.run("push", d.url, "main"); err == nil || !strings.Contains(out, "(build failed)") || !strings.Contains(out, "remote: error: the build failed") {
		t.Errorf("%v\n%s", err, out)
	}
	d.answers(nil)
	if out, err := d.run("push", d.url, "main"); err != nil || d.last(t).files["a"] != "2" {
		t.Errorf("%v\n%s", err, out)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := d.run("clone", "-q", d.url, clone); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.commit("three", map[string]string{"a": "3"})
	if out, err := d.run("push", d.url, "main"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := gitIn(t, clone, d.env, "pull", "-q"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(clone, "a")); err != nil || string(b) != "3" {
		t.Errorf("pulled is %q (%v)", b, err)
	}
	d.clean()
}

func TestSSHRefuses(t *testing.T) {
	d := newDoor(t)
	d.commit("one", map[string]string{"a": "1"})
	d.admit("another")
	if out, err := d.run("push", d.url, "main"); err == nil || !strings.Contains(out, "Permission denied (publickey)") {
		t.Errorf("an unknown key: %v\n%s", err, out)
	}
	d.admit(string(d.signer.PublicKey().Marshal()))
	if out, err := d.run("push", strings.Replace(d.url, "shop", "UP", 1), "main"); err == nil || !strings.Contains(out, "is not a name for an app") {
		t.Errorf("a bad name: %v\n%s", err, out)
	}
	c, err := ssh.Dial("tcp", d.addr, &ssh.ClientConfig{User: "git", Auth: []ssh.AuthMethod{ssh.PublicKeys(d.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for command, says := range map[string]string{
		"":                                 "there is no shell here",
		"sh -c id":                         "only git is served here",
		"git-receive-pack":                 "only git is served here",
		"git-upload-archive 'shop.git'":    "only git is served here",
		"git-receive-pack '../../etc'":     "is not a name",
		strings.Repeat("git-receive", 500): "only git is served here",
	} {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if s.RequestPty("xterm", 24, 80, nil) == nil || s.Setenv("LD_PRELOAD", "x") == nil || s.RequestSubsystem("sftp") == nil {
			t.Error("more than git is offered")
		}
		var said strings.Builder
		s.Stderr = &said
		if command == "" {
			if err := s.Shell(); err != nil {
				t.Fatal(err)
			}
			err = s.Wait()
		} else {
			err = s.Run(command)
		}
		if err == nil || !strings.Contains(said.String(), says) {
			t.Errorf("%.40q: %v\n%s", command, err, said.String())
		}
		_ = s.Close()
	}
	if _, err := c.Dial("tcp", "127.0.0.1:22"); err == nil || !strings.Contains(err.Error(), "takes git push only") {
		t.Errorf("forwarding: %v", err)
	}
	if _, err := c.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("forwarding back is offered")
	}
}

func TestSSHBoundsConnections(t *testing.T) {
	d := newDoor(t)
	var open []net.Conn
	for range maxFromOne {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Read(make([]byte, 4)); err != nil { // the server's greeting
			t.Fatal(err)
		}
		open = append(open, c)
	}
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if n, err := c.Read(make([]byte, 4)); err == nil {
		t.Errorf("one connection too many is greeted with %d bytes", n)
	}
	d.stop() // although they are open
	for _, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		for err = nil; err == nil; {
			_, err = c.Read(make([]byte, 1000))
		}
		if os.IsTimeout(err) {
			t.Error("a connection is open after the end")
		}
	}
}

func TestAnInterruptedPushOverSSHIsCanceled(t *testing.T) {
	d := newDoor(t)
	d.commit("one", map[string]string{"a": "1"})
	building, canceled := make(chan struct{}), make(chan struct{})
	d.answers(func(ctx context.Context, _ source.Arrival, _ func(string)) (Outcome, error) {
		close(building)
		<-ctx.Done()
		close(canceled)
		return Outcome{}, ctx.Err()
	})
	cmd := exec.CommandContext(t.Context(), "git", "push", d.url, "main")
	cmd.Dir, cmd.Env = d.dir, append(cmd.Environ(), d.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-building
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil { // as the terminal does
		t.Fatal(err)
	}
	_ = cmd.Wait()
	select {
	case <-canceled:
	case <-time.After(20 * time.Second):
		t.Fatal("the push goes on")
	}
}
