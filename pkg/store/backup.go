package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"github.com/pandabox/pandabox/pkg/model"
)

// EndingBefore is the ending of the file that Restore keeps of what it replaced.
const EndingBefore = ".before-restore"

// Snapshot writes the store as of the last commit to w while it goes on being used. size, unless nil, is told the
// number of bytes first.
func (s *Store) Snapshot(ctx context.Context, w io.Writer, size func(int64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := s.db.Begin(false)
	if err != nil {
		return explain("beginning to read", s.path, err)
	}
	defer func() { _ = b.Rollback() }()
	if size != nil {
		if err := size(b.Size()); err != nil {
			return err
		}
	}
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("writing a snapshot of the store: %w", err)
	}
	return nil
}

// Restore puts a snapshot in the place of the store at path, which no daemon may have open. The snapshot is checked
// whole first; the file that was there is kept with EndingBefore. Nothing changes when it returns an error.
func Restore(path string, snapshot io.Reader) error {
	unlock, err := lock(path)
	if err != nil {
		return err
	}
	defer unlock()
	err = replaceFile(path, func(f *os.File) error {
		if _, err := io.Copy(f, snapshot); err != nil {
			return explain("copying the snapshot", path, err)
		}
		if err := Check(f.Name()); err != nil {
			return err
		}
		if err := os.Remove(path + EndingBefore); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Link(path, path+EndingBefore); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping the store that is replaced: %w", err)
		}
		return nil
	})
	return explain("restoring the store", path, err)
}

// lock keeps every daemon from opening the store at path, and refuses when one has it open. A file that is damaged
// locks nobody in.
func lock(path string) (unlock func(), err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	db, err := openFile(path, 200*time.Millisecond, false)
	switch {
	case err == nil:
		return func() { _ = db.Close() }, nil
	case model.KindOf(err) == model.KindConflict:
		return nil, err
	}
	return func() {}, nil
}

// Check reads the whole file at path, which nobody may be writing to, and refuses what is not a sound store that this
// binary can use.
func Check(path string) error {
	return inspect(path, func(db *bbolt.DB) error {
		have, err := schemaOf(db)
		switch {
		case err != nil:
			return damaged(path, err)
		case have == 0:
			return damaged(path, errors.New("it is empty"))
		case have > Schema():
			return model.Conflict("the store was written by a newer pandabox").
				WithWhy("its schema is version %d, this program knows versions up to %d", have, Schema()).
				WithHint("restore it with the pandabox that wrote it, or a newer one")
		}
		return db.View(func(b *bbolt.Tx) error { return sound(b, path) })
	})
}

// sound reads everything a transaction can reach, and then lets bbolt compare its pages.
func sound(b *bbolt.Tx, path string) error {
	// The walk comes first: it meets a bent page in this goroutine, which is guarded, while bbolt's check has its own.
	err := b.ForEach(func(_ []byte, in *bbolt.Bucket) error {
		return in.ForEach(func(k, v []byte) error {
			_ = append(append([]byte(nil), k...), v...)
			return nil
		})
	})
	if err != nil {
		return damaged(path, err)
	}
	var first error
	for err := range b.Check() { // to the end: the goroutine behind it stops only there
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return damaged(path, first)
	}
	return nil
}

// KeyCheck returns Box.KeyCheck of the store in the file path, which nobody may be writing to.
func KeyCheck(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var box Box
	err := inspect(path, func(db *bbolt.DB) error {
		return db.View(func(b *bbolt.Tx) (err error) {
			box, err = (&Tx{b: b}).Box()
			return err
		})
	})
	return box.KeyCheck, err
}

// inspect opens a file that may be damaged for reading.
func inspect(path string, fn func(*bbolt.DB) error) error {
	db, err := openFile(path, 200*time.Millisecond, true)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return guarded(path, func() error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		err = db.View(func(b *bbolt.Tx) error {
			if b.Size() > info.Size() {
				return damaged(path, fmt.Errorf("it is cut off: %d of %d bytes are there", info.Size(), b.Size()))
			}
			return nil
		})
		if err != nil {
			return err
		}
		return fn(db)
	})
}
