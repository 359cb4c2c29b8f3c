package control

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// pushed are files of repositories, by name. The real ones are in pkg/source/git, and restored in test/e2e.
type pushed map[string]string

func (p pushed) Backup(_ context.Context, yield func(string, int64, io.Reader) error) error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := yield(name, int64(len(p[name])), strings.NewReader(p[name])); err != nil {
			return err
		}
	}
	return nil
}

// onDisk returns what is of repositories in a data directory.
func onDisk(t *testing.T, dir string) pushed {
	t.Helper()
	out := pushed{}
	err := filepath.WalkDir(dir, func(at string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, at)
		b, err := os.ReadFile(at)
		out[name] = string(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

// hostKey makes the key of an SSH door, as pkg/source/git does.
func hostKey(t *testing.T) []byte {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "pandabox")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func repository(app string) pushed {
	pack := app + ".git/objects/pack/pack-" + strings.Repeat("a1", 20)
	return pushed{
		app + ".git/HEAD": "ref: refs/heads/main\n", app + ".git/config": "[core]\n", app + ".git/packed-refs": strings.Repeat("0", 40) + " refs/heads/main\n",
		pack + ".pack": "PACK of " + app, pack + ".idx": "index",
	}
}

// pushedBox is a box with one repository and a host key, and a backup of it.
func pushedBox(t *testing.T) (b *box, key, file []byte) {
	t.Helper()
	b, key = newBox(t), hostKey(t)
	b.Control.cfg.Git = repository("app-1")
	if err := os.WriteFile(HostKeyFile(b.dir), key, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.Box.Backup(t.Context(), root, &out); err != nil {
		t.Fatal(err)
	}
	return b, key, out.Bytes()
}

func TestABackupHoldsWhatWasPushed(t *testing.T) {
	_, key, file := pushedBox(t)
	fresh := t.TempDir() + "/data"
	if err := Restore(t.Context(), fresh, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(t, GitDir(fresh)); !maps.Equal(got, repository("app-1")) {
		t.Errorf("restored are %q", got)
	}
	if info, err := os.Stat(filepath.Join(GitDir(fresh), "app-1.git", "refs")); err != nil || !info.IsDir() {
		t.Errorf("git takes it for no repository: %v", err)
	}
	got, err := os.ReadFile(HostKeyFile(fresh))
	info, _ := os.Stat(HostKeyFile(fresh))
	if err != nil || !bytes.Equal(got, key) || info.Mode().Perm() != 0o600 {
		t.Errorf("the host key is %q, %v, %v", got, info.Mode(), err)
	}
}

// TestWhatWasPushedBeforeARestoreIsKeptBeside restores on a box that has a key and repositories of its own.
func TestWhatWasPushedBeforeARestoreIsKeptBeside(t *testing.T) {
	_, key, file := pushedBox(t)
	used, own := newBox(t), hostKey(t)
	used.stop()
	for name, text := range map[string]string{HostKeyFile(used.dir): string(own), filepath.Join(GitDir(used.dir), "app-2.git/HEAD"): "its own", filepath.Join(GitDir(used.dir), "app-1.git/packed-refs"): "newer"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Restore(t.Context(), used.dir, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(t, GitDir(used.dir)); !maps.Equal(got, repository("app-1")) {
		t.Errorf("restored are %q", got)
	}
	if got := onDisk(t, GitDir(used.dir)+store.EndingBefore); got["app-2.git/HEAD"] != "its own" || got["app-1.git/packed-refs"] != "newer" {
		t.Errorf("kept are %q", got)
	}
	for name, want := range map[string][]byte{HostKeyFile(used.dir): key, HostKeyFile(used.dir) + store.EndingBefore: own} {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}

	// One that was interrupted between moving away and putting in place loses nothing of what was there.
	if err := os.RemoveAll(GitDir(used.dir)); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), used.dir, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(t, GitDir(used.dir)+store.EndingBefore); got["app-2.git/HEAD"] != "its own" {
		t.Errorf("kept are %q", got)
	}
}

// TestABackupBeforeGitPushLeavesRepositoriesAlone restores one of the format that had none.
func TestABackupBeforeGitPushLeavesRepositoriesAlone(t *testing.T) {
	b, key, file := pushedBox(t)
	b.stop()
	if err := os.MkdirAll(filepath.Join(GitDir(b.dir), "app-1.git"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(GitDir(b.dir), "app-1.git", "HEAD"), []byte("here"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := summed(t, file, func(n string, c []byte) (string, []byte) {
		switch {
		case n == hostKeyName || strings.HasPrefix(n, gitDir+"/"):
			n = ""
		case n == manifestFile:
			c = []byte(`{"format":3}`)
		}
		return n, c
	})
	if err := Restore(t.Context(), b.dir, bytes.NewReader(old)); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(t, GitDir(b.dir)); len(got) != 1 || got["app-1.git/HEAD"] != "here" {
		t.Errorf("there are %q", got)
	}
	if got, err := os.ReadFile(HostKeyFile(b.dir)); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the host key is %q, %v", got, err)
	}
}

// summed is editBackup with sums that fit what it makes.
func summed(t *testing.T, raw []byte, fn func(string, []byte) (string, []byte)) []byte {
	t.Helper()
	var sums strings.Builder
	return editBackup(t, raw, func(n string, c []byte) (string, []byte) {
		if n == sumsFile {
			return n, []byte(sums.String())
		}
		if n, c = fn(n, c); n != "" && n != manifestFile {
			addSum(&sums, n, sha256.Sum256(c))
		}
		return n, c
	})
}

func TestRestoreRefusesRepositoriesThatAreNotWhole(t *testing.T) {
	b, _, file := pushedBox(t)
	b.stop()
	before, err := os.ReadFile(StoreFile(b.dir))
	if err != nil {
		t.Fatal(err)
	}
	at := func(from, to string) func(string, []byte) (string, []byte) {
		return func(n string, c []byte) (string, []byte) {
			if strings.HasSuffix(n, from) {
				n = to
			}
			return n, c
		}
	}
	for name, edit := range map[string]func(string, []byte) (string, []byte){
		"a way out":             at("app-1.git/config", "git/../config"),
		"another way out":       at("app-1.git/config", "git/app-1.git/objects/pack/../../../../x"),
		"a hook":                at("app-1.git/config", "git/app-1.git/hooks/post-receive"),
		"no repository":         at("app-1.git/config", "git/App.git/config"),
		"beside a repository":   at("app-1.git/config", "git/config"),
		"a loose object":        at(".idx", "git/app-1.git/objects/aa/bb"),
		"a pack alone":          at(".idx", ""),
		"an index alone":        at(".pack", ""),
		"no HEAD":               at("app-1.git/HEAD", ""),
		"a file twice":          at("app-1.git/config", "git/app-1.git/HEAD"),
		"a host key beside":     at(hostKeyName, "keys/ssh_host_rsa"),
		"refs that never end":   func(n string, c []byte) (string, []byte) { return n, endless(n, "packed-refs", c, maxRefs) },
		"a key that never ends": func(n string, c []byte) (string, []byte) { return n, endless(n, hostKeyName, c, maxHostKey) },
		"a host key that is none": func(n string, c []byte) (string, []byte) {
			if n == hostKeyName {
				c = []byte("none")
			}
			return n, c
		},
	} {
		_ = told(t, Restore(t.Context(), b.dir, bytes.NewReader(summed(t, file, edit))), model.KindInvalid)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	torn := editBackup(t, file, func(n string, c []byte) (string, []byte) {
		if strings.HasSuffix(n, ".pack") {
			c[0] ^= 1
		}
		return n, c
	})
	_ = told(t, Restore(t.Context(), b.dir, bytes.NewReader(torn)), model.KindInvalid)
	after, err := os.ReadFile(StoreFile(b.dir))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store was changed, %v", err)
	}
	if left := onDisk(t, GitDir(b.dir)); len(left) > 0 {
		t.Errorf("there are %q", left)
	}
}

// endless makes the file that is called so longer than it may be.
func endless(name, want string, content []byte, most int) []byte {
	if strings.HasSuffix(name, want) {
		return append(content, make([]byte, most)...)
	}
	return content
}
