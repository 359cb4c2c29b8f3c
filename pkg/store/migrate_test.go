package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/pandabox/pandabox/pkg/model"
)

func open(t *testing.T, path string, ms []migration) (*Store, error) {
	t.Helper()
	s, err := Open(path, Options{migrations: ms})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// mark is a migration that leaves its name behind.
func mark(name string) migration {
	return migration{name, func(b *bbolt.Tx, _ time.Time) error {
		raw := b.Bucket([]byte(bucketMeta)).Get([]byte("marks"))
		return b.Bucket([]byte(bucketMeta)).Put([]byte("marks"), append(append([]byte{}, raw...), name...))
	}}
}

func marks(t *testing.T, s *Store) string {
	t.Helper()
	return view1(t, s, func(tx *Tx) (string, error) { return string(tx.bucket(bucketMeta).Get([]byte("marks"))), nil })
}

func TestMigrationsRunOnceInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pandabox.db")
	s, err := open(t, path, migrations())
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *Tx) error { _, err := seed(tx, 1); return err })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	later := append(migrations(), mark("b"), mark("c"))
	for range 2 {
		if s, err = open(t, path, later); err != nil {
			t.Fatal(err)
		}
		if got := marks(t, s); got != "bc" {
			t.Fatalf("ran %q", got)
		}
		if d, err := s.Desired(t.Context()); err != nil || len(d.Workloads) != 1 {
			t.Fatalf("%d workloads, %v", len(d.Workloads), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// What was there before is kept, whole and private.
	kept := fmt.Sprintf("%s.schema-%d", path, Schema())
	if err := Check(kept); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if s, err = open(t, kept, migrations()); err != nil {
		t.Fatal(err)
	}
	if got := marks(t, s); got != "" {
		t.Fatalf("the copy was migrated: %q", got)
	}
}

func TestAFreshStoreKeepsNoCopy(t *testing.T) {
	dir := t.TempDir()
	if _, err := open(t, filepath.Join(dir, "pandabox.db"), append(migrations(), mark("b"))); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
}

func TestAFailedMigrationChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pandabox.db")
	s, err := open(t, path, migrations())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	bad := migration{"bad", func(b *bbolt.Tx, now time.Time) error {
		if err := mark("half").run(b, now); err != nil {
			return err
		}
		return stop
	}}
	if _, err := open(t, path, append(migrations(), mark("b"), bad)); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	// The one before it stands, and the next start goes on from there.
	if s, err = open(t, path, append(migrations(), mark("b"), mark("c"))); err != nil {
		t.Fatal(err)
	}
	if got := marks(t, s); got != "bc" {
		t.Fatalf("ran %q", got)
	}
}

func TestANewerStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pandabox.db")
	s, err := open(t, path, append(migrations(), mark("b")))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = open(t, path, migrations())
	wantError(t, err, model.KindConflict, "newer pandabox")
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Fatal("the file was changed")
	}
	wantError(t, Check(path), model.KindConflict, "newer pandabox")
}

func TestAForeignBoltFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pandabox.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(b *bbolt.Tx) error { _, err := b.CreateBucket([]byte("theirs")); return err })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, path, migrations())
	wantError(t, err, model.KindInternal, "theirs")
}
