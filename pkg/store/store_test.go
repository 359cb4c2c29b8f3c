package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// openTest opens a fresh store with a clock that stands.
func openTest(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "pandabox.db"), Options{Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// update runs fn in a transaction that must be committed.
func update(t testing.TB, s *Store, fn func(*Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// view runs fn on the last commit.
func view1[T any](t testing.TB, s *Store, fn func(*Tx) (T, error)) T {
	t.Helper()
	var out T
	if err := s.View(t.Context(), func(tx *Tx) (err error) { out, err = fn(tx); return err }); err != nil {
		t.Fatal(err)
	}
	return out
}

// seed writes n workloads, each an app of its own with a release that serves, and returns their ids.
func seed(tx *Tx, n int) ([]string, error) {
	var ids []string
	for i := range n {
		id := fmt.Sprintf("w-%05d", i)
		name := fmt.Sprintf("app-%05d", i)
		put := func(errs ...error) error { return errors.Join(errs...) }
		target := model.Target{ReleaseID: "release-" + id, Generation: 1}
		err := put(
			tx.PutProject(model.Project{ID: "project-" + id, OrgID: "org-1", Name: name, CreatedAt: testTime}),
			tx.PutEnvironment(model.Environment{ID: "env-" + id, OrgID: "org-1", ProjectID: "project-" + id, Name: "production", Kind: model.EnvProduction, CreatedAt: testTime}),
			tx.PutApp(model.App{ID: "app-" + id, OrgID: "org-1", ProjectID: "project-" + id, Name: name, Kind: model.KindWeb, CreatedAt: testTime}),
			tx.PutConfig(model.Config{WorkloadID: id, Version: 1, CreatedAt: testTime}),
			tx.PutRelease(model.Release{
				ID: target.ReleaseID, WorkloadID: id, Number: 1, ConfigVersion: 1, CreatedBy: "test", CreatedAt: testTime, GoodAt: testTime,
				Image:     model.Image{Ref: "registry.example.com/" + name + ":1", Digest: "sha256:" + strings.Repeat("0", 59) + fmt.Sprintf("%05d", i)},
				Processes: []model.Process{{Name: "web", Command: []string{"/app", "serve"}, Port: 8080}},
			}),
			tx.PutWorkload(model.Workload{
				ID: id, OrgID: "org-1", ProjectID: "project-" + id, AppID: "app-" + id, EnvID: "env-" + id, Want: target, Good: target,
				ConfigVersion: 1, LastRelease: 1, CreatedAt: testTime,
			}),
			tx.PutDomain(model.Domain{Host: name + ".example.com", OrgID: "org-1", WorkloadID: id, Default: true, TLS: model.TLSAuto, CreatedAt: testTime}),
			statuses().put(tx, model.WorkloadStatus{
				WorkloadID: id, State: model.WorkloadRunning, Serving: target, UpdatedAt: testTime,
				Replicas: []model.ReplicaStatus{{Name: id + "-v1-g1-web-1", State: model.ReplicaHealthy, Since: testTime}},
			}),
		)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func seeded(t testing.TB, n int) (*Store, []string) {
	t.Helper()
	s := openTest(t)
	var ids []string
	update(t, s, func(tx *Tx) (err error) { ids, err = seed(tx, n); return err })
	return s, ids
}

func TestOpenRefuses(t *testing.T) {
	t.Run("while another has it open", func(t *testing.T) {
		s := openTest(t)
		_, err := Open(s.Path(), Options{LockTimeout: 50 * time.Millisecond})
		wantError(t, err, model.KindConflict, "another pandabox daemon")
	})
	t.Run("what is not a store", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pandabox.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("not a store ", 10_000)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, Options{})
		wantError(t, err, model.KindInternal, "restore")
		if raw, _ := os.ReadFile(path); !strings.HasPrefix(string(raw), "not a store") {
			t.Error("the file was changed")
		}
	})
	t.Run("a directory that cannot be made", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(filepath.Join(file, "pandabox.db"), Options{}); err == nil {
			t.Error("opened below a file")
		}
	})
}

// wantError checks the kind of an error, that it has a hint, and that text is in what a person reads.
func wantError(t *testing.T, err error, kind model.Kind, text string) {
	t.Helper()
	var e *model.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *model.Error", err)
	}
	if e.Kind != kind || e.Hint == "" || !strings.Contains(e.Error()+" "+e.Hint, text) {
		t.Fatalf("got %s %v (hint %q), want %s with %q", e.Kind, e, e.Hint, kind, text)
	}
}

func TestTheFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "pandabox.db")
	for range 2 {
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v, %v", info.Mode(), err)
		}
		if err := os.Chmod(path, 0o644); err != nil { // the next Open puts it right
			t.Fatal(err)
		}
	}
}

func TestAnErrorLeavesNothing(t *testing.T) {
	s, _ := seeded(t, 1)
	stop := errors.New("stop")
	err := s.Update(t.Context(), func(tx *Tx) error {
		if _, err := seed(tx, 3); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(t.Context(), func(tx *Tx) error { _, _ = seed(tx, 3); panic("a defect") })
	}()
	d, err := s.Desired(t.Context())
	if err != nil || len(d.Workloads) != 1 {
		t.Fatalf("%d workloads, %v", len(d.Workloads), err)
	}
	update(t, s, func(tx *Tx) error { _, err := seed(tx, 2); return err }) // the lock is free again
}

func TestUniqueKeys(t *testing.T) {
	s, _ := seeded(t, 2)
	for name, put := range map[string]func(*Tx) error{
		"app": func(tx *Tx) error { return tx.PutApp(model.App{ID: "app-x", OrgID: "org-1", Name: "app-00001"}) },
		"release": func(tx *Tx) error {
			return tx.PutRelease(model.Release{ID: "release-x", WorkloadID: "w-00001", Number: 1})
		},
		"workload": func(tx *Tx) error {
			return tx.PutWorkload(model.Workload{ID: "w-x", AppID: "app-w-00001", EnvID: "env-w-00001"})
		},
	} {
		if err := s.Update(t.Context(), put); !errors.Is(err, ErrTaken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	update(t, s, func(tx *Tx) error { // renaming frees the old name
		a, err := tx.App("app-w-00001")
		if err != nil {
			return err
		}
		a.Name = "renamed"
		if err := tx.PutApp(a); err != nil {
			return err
		}
		return tx.PutApp(model.App{ID: "app-x", OrgID: "org-1", Name: "app-00001"})
	})
	d, err := s.Desired(t.Context())
	if err != nil || d.Workloads[1].App.Name != "renamed" {
		t.Fatalf("the view has %+v, %v", d.Workloads[1].App, err)
	}
}

func TestChanged(t *testing.T) {
	s, ids := seeded(t, 1)
	fast, stopFast := s.Changed()
	slow, stopSlow := s.Changed()
	defer stopSlow()
	told := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	touch := func() {
		update(t, s, func(tx *Tx) error {
			w, err := tx.Workload(ids[0])
			if err != nil {
				return err
			}
			w.LastRelease++
			return tx.PutWorkload(w)
		})
	}
	for range 3 {
		touch()
		if !told(fast) {
			t.Fatal("not told of a commit")
		}
	}
	if !told(slow) || told(slow) {
		t.Fatal("many commits must be one signal")
	}
	stopFast()
	stopFast() // twice does no harm
	touch()
	if told(fast) {
		t.Fatal("told after the end")
	}
	_ = told(slow)
	if err := s.SaveBlob("cert", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.touchFail() }); err == nil || told(slow) {
		t.Fatalf("told of a certificate, or of what was not committed: %v", err)
	}
}

// touchFail changes a workload and then fails.
func (tx *Tx) touchFail() error {
	tx.touch("w-00000")
	return errors.New("no")
}

func TestReadersAndWritersTogether(t *testing.T) {
	s, ids := seeded(t, 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				d, err := s.Desired(ctx)
				if errors.Is(err, context.Canceled) {
					return
				} else if err != nil {
					t.Error(err)
					return
				}
				// Every commit moves all workloads to one release number: a torn view would show two.
				for _, w := range d.Workloads {
					if w.Workload.LastRelease != d.Workloads[0].Workload.LastRelease {
						t.Error("the view is torn")
						return
					}
				}
				err = s.View(ctx, func(tx *Tx) error {
					a, err := tx.Desired(ids[0])
					if err != nil {
						return err
					}
					b, err := tx.Workload(ids[19])
					if err == nil && a.Workload.LastRelease != b.LastRelease {
						t.Errorf("view %d, transaction %d", a.Workload.LastRelease, b.LastRelease)
					}
					return err
				})
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		update(t, s, func(tx *Tx) error {
			for _, id := range ids {
				w, err := tx.Workload(id)
				if err != nil {
					return err
				}
				w.LastRelease++
				if err := tx.PutWorkload(w); err != nil {
					return err
				}
			}
			return nil
		})
	}
	cancel()
	readers.Wait()
}

func TestAfterClose(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "pandabox.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	nothing := func(*Tx) error { return nil }
	wantError(t, s.View(t.Context(), nothing), model.KindUnavailable, "shutting down")
	wantError(t, s.Update(t.Context(), nothing), model.KindUnavailable, "shutting down")
	wantError(t, s.SaveBlob("a", nil), model.KindUnavailable, "shutting down")
}
