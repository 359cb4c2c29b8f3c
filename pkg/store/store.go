package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/pandabox/pandabox/pkg/model"
)

// mapped is how much address space the file's mapping takes from the start. Within it the file grows without being
// mapped anew, for which bbolt would wait until the last reader is done: a backup to a slow client, say, while every
// other reader waited behind it. It costs no memory.
const mapped = 1 << 30

// DefaultLockTimeout is how long Open waits for another process to let go of the file.
const DefaultLockTimeout = 3 * time.Second

// Options are the choices of Open. The zero value is usable.
type Options struct {
	LockTimeout time.Duration    // 0 means DefaultLockTimeout
	Now         func() time.Time // nil means time.Now

	migrations []migration // of tests
}

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	db     *bbolt.DB
	path   string
	now    func() time.Time
	signal signal
	jobs   jobChanges

	write sync.Mutex // held from the begin of a writing transaction until its view stands
	view  atomic.Pointer[view]
}

// Open opens the store in the file path, makes it if it is not there, and brings an older one up to date. It refuses
// a file that another process has open, a file of a newer pandabox, and a file that is not a store.
func Open(path string, o Options) (*Store, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = DefaultLockTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.migrations == nil {
		o.migrations = migrations()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, explain("making the store's directory", path, err)
	}
	db, err := openFile(path, o.LockTimeout, false)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, path: path, now: func() time.Time { return o.Now().UTC() }}
	if err := guarded(path, func() error { return s.begin(o.migrations) }); err != nil {
		_ = db.Close()
		return nil, err
	}
	return s, nil
}

// begin makes the file current and private and builds the first view.
func (s *Store) begin(ms []migration) error {
	if err := os.Chmod(s.path, 0o600); err != nil {
		return explain("protecting the store", s.path, err)
	}
	if err := migrate(s.db, s.path, ms, s.now()); err != nil {
		return err
	}
	return s.db.View(func(b *bbolt.Tx) error {
		v, err := loadView(&Tx{b: b, s: s})
		if err != nil {
			return fmt.Errorf("reading the store: %w", err)
		}
		s.view.Store(v)
		return nil
	})
}

// openFile opens the bbolt file itself.
func openFile(path string, timeout time.Duration, readOnly bool) (db *bbolt.DB, err error) {
	err = guarded(path, func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: timeout, ReadOnly: readOnly, PreLoadFreelist: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapped,
		})
		return err
	})
	var told *model.Error
	switch {
	case errors.As(err, &told):
		return nil, err
	case errors.Is(err, berrors.ErrTimeout):
		return nil, model.Conflict("another pandabox daemon is running on %s", filepath.Dir(path)).Wrap(err).
			WithWhy("it holds the lock of %s", filepath.Base(path)).
			WithHint("use that one, or stop it first: pandabox stop")
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, damaged(path, err)
	case err != nil:
		return nil, explain("opening the store", path, err)
	}
	return db, nil
}

// Close waits for running transactions and closes the file.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// Path returns the path of the file.
func (s *Store) Path() string { return s.path }

// View runs fn on the last commit. fn must not keep the Tx.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.read(fn)
}

func (s *Store) read(fn func(*Tx) error) error {
	b, err := s.db.Begin(false)
	if err != nil {
		return explain("beginning to read", s.path, err)
	}
	defer func() { _ = b.Rollback() }()
	return fn(&Tx{b: b, s: s})
}

// Update runs fn in a writing transaction, one at a time, and commits what it wrote unless it returns an error. fn must
// not keep the Tx nor begin another transaction. A full disk is a *model.Error of KindNoSpace.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.change(fn)
}

func (s *Store) change(fn func(*Tx) error) error {
	s.write.Lock()
	defer s.write.Unlock()
	b, err := s.db.Begin(true)
	if err != nil {
		return explain("beginning to write", s.path, err)
	}
	defer func() { _ = b.Rollback() }() // answers that it is closed once the commit is done
	tx := &Tx{b: b, s: s}
	if err := fn(tx); err != nil {
		return err
	}
	if !tx.wrote {
		return nil
	}
	next, err := tx.nextView()
	if err != nil {
		return fmt.Errorf("reading what was written: %w", err)
	}
	if err := b.Commit(); err != nil {
		return explain("saving", s.path, err)
	}
	s.view.Store(next)
	if tx.tell {
		s.signal.fire()
	}
	s.jobs.add(tx.jobs)
	return nil
}

// Tx is a transaction. It is good for the function it was given to, in one goroutine.
type Tx struct {
	b     *bbolt.Tx
	s     *Store
	wrote bool                // something was written
	tell  bool                // something was written that subscribers of Changed wait for
	dirty map[string]struct{} // workloads whose part of the view is stale
	moved map[string]struct{} // of these, the ones that came or went, or whose domains did: functions may be on them
	jobs  map[string]struct{} // jobs that the scheduler has to look at again
}

// Now returns the time by the store's clock, UTC.
func (tx *Tx) Now() time.Time { return tx.s.now() }

func (tx *Tx) touch(workloadID string) {
	if tx.dirty == nil {
		tx.dirty = map[string]struct{}{}
	}
	tx.dirty[workloadID] = struct{}{}
	tx.tell = true
}

// move is touch for what functions on the workload's app notice too.
func (tx *Tx) move(workloadID string) {
	tx.touch(workloadID)
	if tx.moved == nil {
		tx.moved = map[string]struct{}{}
	}
	tx.moved[workloadID] = struct{}{}
}
