package network

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
)

// box is one instance's networks on this machine's real kernel, removed at the end of the test.
type box struct {
	t *testing.T
	m *Manager
	Config
}

func newBox(t *testing.T, id string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, Config: Config{
		ID: id, Subnet: netip.MustParsePrefix("10.87.0.0/16"), StateDir: dir, Grace: time.Nanosecond,
		ResolvConf: filepath.Join(dir, "resolv.conf"), Logger: zerolog.New(zerolog.NewTestWriter(t)),
	}}
	if err := os.WriteFile(b.ResolvConf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(func() {
		if err := b.m.Destroy(context.Background()); err != nil {
			t.Errorf("Destroy: %v", err)
		}
		if left := b.leftovers(); left != "" {
			t.Errorf("left behind after Destroy:\n%s", left)
		}
	})
	return b
}

// start makes the Manager, as the daemon's start does.
func (b *box) start() {
	b.t.Helper()
	m, err := New(b.Config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.m = m
}

// restart ends the Manager's part in this process and makes a new one, as an update of the daemon does.
func (b *box) restart(live ...Attachment) {
	b.t.Helper()
	if err := b.m.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.start()
	if err := b.m.Reconcile(b.t.Context(), live); err != nil {
		b.t.Fatalf("Reconcile: %v", err)
	}
}

// leftovers lists every link and table with the instance's id.
func (b *box) leftovers() string {
	var out []string
	links, err := netlink.LinkList()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, l := range links {
		if strings.Contains(l.Attrs().Name, b.ID) {
			out = append(out, l.Attrs().Name)
		}
	}
	tables, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		b.t.Fatalf("nft list tables: %v", err)
	}
	for line := range strings.Lines(string(tables)) {
		if strings.Contains(line, b.ID) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

// container is a process in a network namespace of its own, without anything else of a container.
type container struct {
	Attachment
	t *testing.T
}

// newNamespace starts a process that does nothing in a fresh network namespace.
func newNamespace(t *testing.T, flags ...string) int {
	t.Helper()
	cmd := exec.Command("unshare", append(append([]string{"--net"}, flags...), "sh", "-c", "echo up; exec sleep 600")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatalf("starting a namespace: %v", err)
	}
	return cmd.Process.Pid
}

func (b *box) attach(env, name string, aliases ...string) *container {
	b.t.Helper()
	return b.attachPid(newNamespace(b.t), env, name, aliases...)
}

func (b *box) attachPid(pid int, env, name string, aliases ...string) *container {
	b.t.Helper()
	addr, err := b.m.Attach(b.t.Context(), AttachRequest{EnvID: env, Container: name, Pid: pid, Aliases: aliases})
	if err != nil {
		b.t.Fatalf("Attach %s: %v", name, err)
	}
	return &container{t: b.t, Attachment: Attachment{Container: name, EnvID: env, Pid: pid, Addr: addr, Aliases: aliases}}
}

// run runs a command in the container's network namespace.
func (c *container) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net", "-t", fmt.Sprint(c.Pid)}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
