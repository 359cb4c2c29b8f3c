package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy"
	"github.com/pandabox/pandabox/pkg/store"
)

// boxDir is a directory containers could reach, for the data and the sockets of a daemon.
func boxDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pbx-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func refused(t *testing.T, c Config, kind model.Kind, want string) {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Run(t.Context())
	if model.KindOf(err) != kind || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v", err)
	}
}

func TestSecondDaemon(t *testing.T) {
	dir := boxDir(t)
	c := Config{DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), LogFile: filepath.Join(dir, "log")}

	t.Run("on one data directory", func(t *testing.T) {
		s, err := store.Open(storeFile(c.DataDir), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		refused(t, c, model.KindConflict, "another")
	})
	t.Run("in one process", func(t *testing.T) {
		s, err := store.Open(filepath.Join(dir, "other.db"), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		p, err := proxy.New(proxy.Config{HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", Storage: s, ACME: proxy.ACME{Disabled: true}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close(t.Context()) })
		refused(t, c, model.KindConflict, "another pandabox daemon runs in this process")
	})
}

func TestRunTwice(t *testing.T) {
	dir := boxDir(t)
	d, err := New(Config{DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), LogFile: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	d.began.Store(true)
	if err := d.Run(t.Context()); model.KindOf(err) != model.KindConflict {
		t.Fatalf("got %v", err)
	}
}

func TestUnreachableDirectory(t *testing.T) {
	dir := boxDir(t)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, Config{DataDir: filepath.Join(dir, "data"), RunDir: "/tmp/pbx-unused-run", LogFile: filepath.Join(dir, "log")}, model.KindInvalid, "only its owner may enter")
}

func TestWorkloadOf(t *testing.T) {
	r := model.Replica{WorkloadID: "w-v1abc-g", Release: 12, Generation: 3, Process: "web-v1-g2-x", Index: 4}
	if m := workloadOf.FindStringSubmatch(r.Name()); m == nil || m[1] != r.WorkloadID {
		t.Fatalf("%s: %v", r.Name(), m)
	}
}
