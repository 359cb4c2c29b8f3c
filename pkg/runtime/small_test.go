package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestLocksTakeTurns(t *testing.T) {
	var l locks
	var wg sync.WaitGroup
	inside := map[string]int{}
	var mu sync.Mutex
	for i := range 200 {
		name := []string{"a", "b"}[i%2]
		wg.Go(func() {
			done, err := l.take(t.Context(), name)
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			mu.Lock()
			inside[name]++
			if inside[name] > 1 {
				t.Errorf("%d hold %s", inside[name], name)
			}
			mu.Unlock()
			mu.Lock()
			inside[name]--
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(l.held) != 0 {
		t.Errorf("%d locks are left", len(l.held))
	}
}

func TestLocksGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l locks
		done, err := l.take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.take(ctx, "a"); err != context.DeadlineExceeded { //nolint:errorlint // exactly this one
			t.Errorf("waited for %v", err)
		}
		done()
		again, err := l.take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		again()
	})
}

func TestBoundLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := boundLog(path, 10); err != nil {
		t.Errorf("no log yet: %v", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	write := func(s string) {
		t.Helper()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
		if err := boundLog(path, 10); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) string {
		b, _ := os.ReadFile(path)
		return string(b)
	}
	write("0123456789")
	if read(path) != "0123456789" {
		t.Errorf("cut too early: %q", read(path))
	}
	write("abcde")
	if read(path) != "" || read(path+".1") != "56789abcde" {
		t.Errorf("now %q, before %q", read(path), read(path+".1"))
	}
	write("on")
	if read(path) != "on" {
		t.Errorf("writing went on as %q", read(path))
	}
}

func TestInstanceID(t *testing.T) {
	seen := map[string]string{}
	for _, dir := range []string{"/var/lib/pandabox", "/tmp/a", "/tmp/b", "/tmp/a/b"} {
		id := InstanceID(dir)
		if len(id) != 4 || strings.ToLower(id) != id || seen[id] != "" || InstanceID(dir+"/") != id {
			t.Errorf("%s has the id %q", dir, id)
		}
		seen[id] = dir
	}
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []Config{{}, {DataDir: "data", RunDir: "/run/x"}, {DataDir: "/data", RunDir: "/run/" + strings.Repeat("x", 40)}} {
		if _, err := c.withDefaults(); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestStopSignal(t *testing.T) {
	for name, want := range map[string]syscall.Signal{"": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "3": syscall.SIGQUIT, "nonsense": syscall.SIGTERM} {
		if got := stopSignal(name); got != want {
			t.Errorf("%q is %v", name, got)
		}
	}
}

func TestFailureKinds(t *testing.T) {
	for want, err := range map[model.Kind]error{
		"":                 nil,
		model.KindNoSpace:  &os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC},
		model.KindCanceled: context.Canceled,
		model.KindTimeout:  context.DeadlineExceeded,
		model.KindConflict: model.Conflict("already said"),
		model.KindInternal: os.ErrClosed,
	} {
		if got := model.KindOf(failure(err, "cannot do it")); got != want {
			t.Errorf("%v became %s, not %s", err, got, want)
		}
	}
}
