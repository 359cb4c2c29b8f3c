package git

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// backup takes one and puts it into a folder of its own, which is returned with the names in it. meanwhile, unless nil,
// runs before anything is copied.
func backup(t *testing.T, r *Repositories, meanwhile func()) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	err := r.Backup(t.Context(), func(name string, size int64, content io.Reader) error {
		if meanwhile != nil {
			meanwhile()
			meanwhile = nil
		}
		names = append(names, name)
		at := filepath.Join(dir, name)
		for _, d := range []string{filepath.Dir(at), filepath.Join(dir, strings.Split(name, "/")[0], "refs")} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				return err
			}
		}
		b, err := io.ReadAll(content)
		if err != nil || int64(len(b)) != size {
			return fmt.Errorf("%s has %d bytes, of %d: %w", name, len(b), size, err)
		}
		return os.WriteFile(at, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, names
}

func TestABackupIsARepositoryThatIsPushedTo(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1", "b": "1"})
	w.must("push", w.url, "main")
	w.commit("two", map[string]string{"a": "2"})
	w.must("tag", "v1")
	w.must("push", w.url, "main", "v1")
	dir, names := backup(t, w.server.Repositories, nil)
	if len(names) != 3+2*2 || names[0] != "app-1.git/HEAD" {
		t.Errorf("it holds %q", names)
	}
	fsck(t, filepath.Join(dir, "app-1.git"))

	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Repositories: r, Box: w.platform, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	url := strings.Replace(h.URL, "http://", "http://x:"+token+"@", 1) + "/git/shop.git"
	if out := w.must("push", url, "main"); !strings.Contains(out, "up-to-date") {
		t.Errorf("a push of what is there says %q", out)
	}
	w.commit("three", map[string]string{"a": "3"})
	before, err := packsIn(openRepo(r.dirOf("app-1")).packDir())
	if err != nil {
		t.Fatal(err)
	}
	w.must("push", url, "main")
	if got := w.last(t); got.files["a"] != "3" || got.files["b"] != "1" {
		t.Errorf("deployed were %q", got.files)
	}
	after, err := packsIn(openRepo(r.dirOf("app-1")).packDir())
	if err != nil || len(after) != len(before)+1 {
		t.Fatalf("the packs are %q, %v", after, err)
	}
	after = slices.DeleteFunc(after, func(name string) bool { return slices.Contains(before, name) })
	if n, _, err := measure(filepath.Join(openRepo(r.dirOf("app-1")).packDir(), after[0]+".pack")); err != nil || n != 3 { // a commit, a tree, a file
		t.Errorf("%d objects were sent, %v", n, err)
	}
}

// TestABackupIsOfOneMoment pushes between its beginning and the first byte that is copied, and has the packs that it is
// about to copy made one.
func TestABackupIsOfOneMoment(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.must("push", w.url, "main")
	w.commit("two", map[string]string{"a": "2"})
	w.must("push", w.url, "main")
	was := w.has()
	dir, _ := backup(t, w.server.Repositories, func() {
		w.commit("three", map[string]string{"a": "3"})
		w.must("push", "--force", w.url, "main", "main:refs/tags/later")
		home := openRepo(w.server.dirOf("app-1"))
		defer func() { _ = home.Close() }()
		names, err := packsIn(home.packDir())
		if err != nil {
			t.Fatal(err)
		}
		defer w.server.lock("app-1")()
		if err := home.merge(names, 9); err != nil {
			t.Fatal(err)
		}
	})
	refs, err := openRepo(filepath.Join(dir, "app-1.git")).refs()
	if err != nil || len(refs) != len(was) || refs["refs/heads/main"].String() != was["refs/heads/main"] {
		t.Errorf("the backup has %v, of %v (%v)", refs, was, err)
	}
	fsck(t, filepath.Join(dir, "app-1.git"))
	fsck(t, w.server.dirOf("app-1"))
}

func TestBackupsWhilePushing(t *testing.T) {
	w := newWorld(t, Config{})
	pushed := make(chan error, 1)
	w.commit("zero", map[string]string{"a": "0"})
	w.must("push", w.url, "main")
	go func() {
		for i := range MaxPacks + 3 { // so that packs are made one
			for _, args := range [][]string{{"commit", "-q", "--allow-empty", "-m", fmt.Sprint(i)}, {"push", "-q", w.url, "main"}} {
				if out, err := gitIn(t, w.dir, nil, args...); err != nil {
					pushed <- fmt.Errorf("git %v: %w\n%s", args, err, out)
					return
				}
			}
		}
		pushed <- nil
	}()
	for n := 0; ; n++ {
		dir, _ := backup(t, w.server.Repositories, nil)
		fsck(t, filepath.Join(dir, "app-1.git"))
		select {
		case err := <-pushed:
			if err != nil || n < 2 {
				t.Errorf("%d backups were taken meanwhile, %v", n, err)
			}
			return
		default:
		}
	}
}

func TestABackupLeavesOutWhatIsNotWhole(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.must("push", w.url, "main")
	half := filepath.Join(w.server.dirOf("app-1"), "objects", "pack", "pack-"+strings.Repeat("a", 40)+".idx")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.server.dirOf("app-2"), 0o700); err != nil { // never made to the end
		t.Fatal(err)
	}
	_, names := backup(t, w.server.Repositories, nil)
	if len(names) != 3+2 || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "aaaa") || strings.Contains(n, "app-2") }) {
		t.Errorf("it holds %q", names)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.server.Backup(ctx, func(string, int64, io.Reader) error { return nil }); err == nil {
		t.Error("a backup that was given up ends well")
	}
}
