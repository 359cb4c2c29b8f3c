package runtime

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestPartsUnpackOnce(t *testing.T) {
	root := t.TempDir()
	p, err := unpackParts(embedded, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{p.Runc, p.Shim, p.Log} {
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	before, err := os.Stat(p.Runc)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := unpackParts(embedded, root); err != nil || again != p {
		t.Errorf("again: %+v, %v", again, err)
	}
	if after, err := os.Stat(p.Runc); err != nil || !os.SameFile(before, after) {
		t.Errorf("what was there whole was unpacked again: %v", err)
	}
	for name, damage := range map[string]func() error{
		"cut off":   func() error { return os.Truncate(p.Shim, 1000) },
		"missing":   func() error { return os.Remove(p.Log) },
		"unsummed":  func() error { return os.Remove(filepath.Join(p.Dir, sumsFile)) },
		"different": func() error { return os.WriteFile(p.Runc, []byte("#!/bin/sh\n"), 0o755) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if again, err := unpackParts(embedded, root); err != nil || verifyParts(again.Dir) != nil {
			t.Errorf("%s: %v, %v", name, err, verifyParts(again.Dir))
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestOldPartsAreKeptWhileUsed(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"current", "running", "recorded", "idle", ".unpack-1"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	shim := filepath.Join(root, "running", "shim")
	if err := os.WriteFile(shim, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shim, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	used := func(dir string) bool { return strings.HasSuffix(dir, "/recorded") || runningFrom(dir) }
	if err := removeUnusedParts(root, filepath.Join(root, "current"), used); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(root + "/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 3 {
		t.Errorf("left: %v", left)
	}
}

// The shim speaks containerd's internal protocol: both must be of one version.
func TestPartsMatchTheLibrary(t *testing.T) {
	version := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`github\.com/containerd/containerd/v2 (v\S+)`).FindStringSubmatch(string(b))
		if m == nil {
			t.Fatalf("%s names no containerd", path)
		}
		return m[1]
	}
	library, shim := version("../../go.mod"), version("../../packaging/parts/go.mod")
	if library != shim {
		t.Errorf("the library is %s, the shim is built from %s", library, shim)
	}
	p, err := unpackParts(embedded, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(p.Shim, "-v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), library) {
		t.Errorf("the embedded shim says %s, %v; the library is %s", out, err, library)
	}
	if out, err := exec.Command(p.Runc, "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), "libseccomp") {
		t.Errorf("the embedded runc says %s, %v", out, err)
	}
}

func TestLockPidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if pid, err := lockHolder(path); pid != 0 || err != nil {
		t.Errorf("nobody holds it: %d, %v", pid, err)
	}
	f, err := lockPidFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := lockHolder(path); pid != os.Getpid() || err != nil {
		t.Errorf("we hold it: %d, %v", pid, err)
	}
	if _, err := lockPidFile(path); !errors.Is(err, errLocked) {
		t.Errorf("locked twice: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if pid, err := lockHolder(path); pid != 0 || err != nil {
		t.Errorf("nobody holds it any more: %d, %v", pid, err)
	}
}

func TestBuiltWithoutParts(t *testing.T) {
	_, err := unpackParts(fstest.MapFS{"parts/README.md": {}}, t.TempDir())
	var e *model.Error
	if !errors.Is(err, ErrNoParts) || !errors.As(err, &e) || e.Hint != "run make" {
		t.Errorf("%#v", err)
	}
}
