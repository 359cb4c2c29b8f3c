package supervise

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "supervise-for-test" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := Run(ctx, os.Args[2], os.Args[3:]); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func lines(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never came", what)
		}
	}
}

func TestStartsAgainAndStops(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	script := "echo x >> " + runs + "; [ $(wc -l < " + runs + ") -lt 3 ] && kill -9 $$; echo $$ > " + dir + "/pid; exec sleep 600"
	p, err := Start([]string{os.Args[0], "supervise-for-test", dir, "sh", "-c", script}, filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill(); _, _ = p.Wait() })
	waitFor(t, "third start", func() bool { return lines(t, runs) == 3 && lines(t, filepath.Join(dir, "pid")) == 1 })

	if err := Run(t.Context(), dir, []string{"true"}); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Fatalf("a second supervisor: %v", err)
	}
	if pid, err := Running(dir); err != nil || pid != p.Pid {
		t.Fatalf("running: %d, %v, want %d", pid, err, p.Pid)
	}
	if was, err := Stop(t.Context(), dir); err != nil || !was {
		t.Fatalf("stop: %v, %v", was, err)
	}
	if was, err := Stop(t.Context(), dir); err != nil || was {
		t.Fatalf("stopping twice: %v, %v", was, err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); !os.IsNotExist(err) {
		t.Fatalf("the daemon outlived its supervisor: %v", err)
	}
	if got := lines(t, runs); got != 3 {
		t.Fatalf("started %d times", got)
	}
}

func TestEndsWithSuccess(t *testing.T) {
	if err := Run(t.Context(), t.TempDir(), []string{"true"}); err != nil {
		t.Fatal(err)
	}
}

func TestStalePidFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(pidFile(dir), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid, err := Running(dir); err != nil || pid != 0 {
		t.Fatalf("a left-over pid file counts: %d, %v", pid, err)
	}
}
