package pack

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/pandabox/pandabox/pkg/model"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func list(t *testing.T, dir string, want ...string) {
	t.Helper()
	got, err := List(t.Context(), dir)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List = %q, %v; want %q", got, err, want)
	}
}

func TestListWithoutGit(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.go": "", "b/c.go": "", ".git/config": "", "node_modules/x/y.js": "", "tmp/z": "", "tmp/keep": "", "Dockerfile": ""})
	list(t, dir, "Dockerfile", "a.go", "b/c.go", "node_modules/x/y.js", "tmp/keep", "tmp/z")
	write(t, dir, map[string]string{".dockerignore": "node_modules\ntmp/*\n!tmp/keep\nDockerfile\n"})
	list(t, dir, ".dockerignore", "Dockerfile", "a.go", "b/c.go", "tmp/keep")
	write(t, dir, map[string]string{".pandaboxignore": "*.go\n"})
	list(t, dir, ".dockerignore", ".pandaboxignore", "Dockerfile", "b/c.go", "node_modules/x/y.js", "tmp/keep", "tmp/z")
}

func TestListWithGit(t *testing.T) {
	inner, dir := t.TempDir(), t.TempDir()
	git(t, inner, "init", "-q")
	write(t, inner, map[string]string{"lib.go": "", ".gitignore": "*.o\n", "x.o": ""})
	git(t, inner, "add", ".")
	git(t, inner, "commit", "-qm", "one")
	git(t, dir, "init", "-q")
	write(t, dir, map[string]string{"a.go": "", "gone.go": "", ".gitignore": "secret\nbuild/\n", "secret": "", "build/x": ""})
	git(t, dir, "add", ".")
	git(t, dir, "submodule", "--quiet", "add", inner, "sub")
	git(t, dir, "commit", "-qm", "one")
	write(t, dir, map[string]string{"new.go": "", "sub/y.o": ""})
	if err := os.Remove(filepath.Join(dir, "gone.go")); err != nil {
		t.Fatal(err)
	}
	list(t, dir, ".gitignore", ".gitmodules", "a.go", "new.go", "sub/.gitignore", "sub/lib.go")
	list(t, filepath.Join(dir, "build"), "x") // ignored as a whole: deployed for its own sake
	git(t, dir, "submodule", "--quiet", "deinit", "-f", "sub")
	if _, err := List(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "submodule sub is empty") {
		t.Errorf("an empty submodule: %v", err)
	}
}

func TestListOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	write(t, dir, map[string]string{"a.go": "", ".gitignore": "secret\n", "secret": ""})
	for _, at := range []string{dir, filepath.Join(dir, ".git")} {
		if err := os.Chown(at, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	}
	var e *model.Error
	if _, err := List(t.Context(), dir); !errors.As(err, &e) || !strings.Contains(e.What, "another user") || !strings.Contains(e.Hint, "safe.directory "+dir) {
		t.Errorf("List = %v", err)
	}
}

func TestRoundTripIsReproducible(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "hello", "b/run.sh": "#!/bin/sh\n"})
	if err := os.Chmod(filepath.Join(dir, "b/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../a.txt", filepath.Join(dir, "b/link")); err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	s, err := Pack(t.Context(), dir, &one, nil)
	if err != nil || s.Files != 3 || s.Bytes != 15 {
		t.Fatalf("packed %+v, %v", s, err)
	}
	if err := os.Chtimes(filepath.Join(dir, "a.txt"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), dir, &two, nil); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("the same files gave other bytes, %v", err)
	}
	out := t.TempDir()
	if got, err := Unpack(t.Context(), &one, out); err != nil || got != s {
		t.Fatalf("unpacked %+v, %v", got, err)
	}
	text, err := os.ReadFile(filepath.Join(out, "b/link"))
	st, serr := os.Stat(filepath.Join(out, "b/run.sh"))
	if err != nil || string(text) != "hello" || serr != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("b/link is %q, %v; b/run.sh %v, %v", text, err, st, serr)
	}
}

func TestPackRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"nothing": {nil, "no files"},
		"newline": {map[string]string{"a\nb": ""}, "line break"},
		"lfs":     {map[string]string{"big.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}, "Git LFS"},
		"pattern": {map[string]string{"a": "", ".dockerignore": "[\n"}, ".dockerignore"},
	} {
		dir := t.TempDir()
		write(t, dir, c.files)
		_, err := Pack(t.Context(), dir, io.Discard, nil)
		var e *model.Error
		if !errors.As(err, &e) || !strings.Contains(e.What, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnpackStaysInside(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"up":            {{Name: "../x", Typeflag: tar.TypeReg}},
		"absolute":      {{Name: "/tmp/pandabox-x", Typeflag: tar.TypeReg}},
		"through link":  {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, {Name: "l/pandabox-x", Typeflag: tar.TypeReg}},
		"through up":    {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "l/pandabox-x", Typeflag: tar.TypeReg}},
		"over link":     {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp/pandabox-x"}, {Name: "l", Typeflag: tar.TypeReg}},
		"twice":         {{Name: "a", Typeflag: tar.TypeReg}, {Name: "a", Typeflag: tar.TypeReg}},
		"hard link":     {{Name: "a", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"device":        {{Name: "a", Typeflag: tar.TypeChar}},
		"file as dir":   {{Name: "a", Typeflag: tar.TypeReg}, {Name: "a/b", Typeflag: tar.TypeReg}},
		"control chars": {{Name: "a\x1b[2J", Typeflag: tar.TypeReg}},
	} {
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(z)
		for _, h := range headers {
			h.Mode = 0o644
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		parent := t.TempDir()
		dir := filepath.Join(parent, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_, err = Unpack(t.Context(), &b, dir)
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
		for _, at := range []string{filepath.Join(parent, "x"), filepath.Join(parent, "pandabox-x"), "/tmp/pandabox-x"} {
			if _, err := os.Lstat(at); err == nil {
				t.Errorf("%s: %s was written", name, at)
			}
		}
	}
}

func TestUnpackHalf(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": strings.Repeat("hello", 10_000)})
	var b bytes.Buffer
	if _, err := Pack(t.Context(), dir, &b, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(t.Context(), bytes.NewReader(b.Bytes()[:b.Len()/2]), t.TempDir()); err == nil {
		t.Error("half an archive was unpacked")
	}
}
