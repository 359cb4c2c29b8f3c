package httpapi

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ListenUnix(path)
	wantKind(t, err, model.KindConflict)

	// As after kill -9: the file stays, and nobody answers.
	u, ok := l.(*net.UnixListener)
	if !ok {
		t.Fatalf("the listener is a %T", l)
	}
	u.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = ListenUnix(path); err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ListenUnix(path)
	wantKind(t, err, model.KindConflict)
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file that was there is now %q, %v", b, err)
	}
	_, err = ListenUnix("/" + strings.Repeat("x", 200))
	wantKind(t, err, model.KindInvalid)
}
