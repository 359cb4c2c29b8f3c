package pack

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestLook(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "hello", "b/c.txt": "hi", ".pandaboxignore": "tmp\n", "tmp/x": "no"})
	for name, to := range map[string]string{"b/in": "../a.txt", "out": "../x", "b/out": "../../x", "abs": "/etc/passwd"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Look(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := ".pandaboxignore a.txt abs b/c.txt b/in b/out out"; strings.Join(got.Files, " ") != want {
		t.Errorf("files %q, want %s", got.Files, want)
	}
	if want := "abs b/out out"; strings.Join(got.Outside, " ") != want || got.Bytes != 11 {
		t.Errorf("outside %q, want %s; %d bytes", got.Outside, want, got.Bytes)
	}
	if b, err := fs.ReadFile(got.FS(), "b/in"); err != nil || string(b) != "hello" {
		t.Errorf("b/in: %q, %v", b, err)
	}
	for _, name := range []string{"tmp", "tmp/x", "out", "abs"} {
		if _, err := fs.Stat(got.FS(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTreeIsAFileSystem(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "hello", "b/c.txt": "hi", "b/d/e": "", ".dockerignore": "tmp\n**/*.o", "tmp/x": "no", "b/x.o": ""})
	tree, err := Look(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(tree.FS(), ".dockerignore", "a.txt", "b/c.txt", "b/d/e"); err != nil {
		t.Error(err)
	}
}

func TestLookRefuses(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
	for name, c := range map[string]struct {
		make func(dir string) error
		says string
	}{
		"pointers": {func(dir string) error {
			write(t, dir, map[string]string{"1": pointer, "2": pointer, "3": pointer, "4": pointer, "5": pointer, "6": pointer, "ok": "x"})
			return nil
		}, "6 files are pointers of Git LFS, not the files themselves: 1, 2, 3, 4, 5 and 1 more"},
		"a pipe": {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "p"), 0o600) }, "p is neither a file nor a link"},
		"too much": {func(dir string) error {
			write(t, dir, map[string]string{"huge.bin": "", "small": "x"})
			return os.Truncate(filepath.Join(dir, "huge.bin"), MaxBytes+MaxBytes/10)
		}, "the source has 2.2 GB: largest: huge.bin 2252 MB"},
	} {
		dir := t.TempDir()
		if err := c.make(dir); err != nil {
			t.Fatal(err)
		}
		_, err := Look(t.Context(), dir)
		var e *model.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.says) || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
