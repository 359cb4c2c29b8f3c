package runtimetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestApp returns the path of the compiled test app, a static program for this box; see testapp for what it can do.
func TestApp(t testing.TB) string {
	t.Helper()
	path, err := builtApp()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// builtApp compiles once per process. The compiler's own cache makes every later process fast.
var builtApp = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pandabox-testapp-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "pandabox")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	out := filepath.Join(dir, "testapp")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out,
		"github.com/pandabox/pandabox/pkg/runtime/runtimetest/testapp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the test app: %w\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return "", err
	}
	final := filepath.Join(home, "testapp")
	tmp := final + fmt.Sprintf(".%d", os.Getpid())
	if err := os.WriteFile(tmp, b, 0o755); err != nil {
		return "", err
	}
	return final, os.Rename(tmp, final)
})
