package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/pandabox/pandabox/pkg/model"
)

// ErrNotFound says that there is no such record.
var ErrNotFound = errors.New("no such record")

// ErrTaken says that another record has a key that must be unique.
var ErrTaken = errors.New("another record has that key")

// explain says what a person can do about an error of the file system or of bbolt. Other errors, those of a
// transaction's own function among them, pass as they are.
func explain(doing, path string, err error) error {
	var m *model.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &m), errors.Is(err, ErrNotFound), errors.Is(err, ErrTaken):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT),
		strings.Contains(err.Error(), syscall.ENOSPC.Error()): // bbolt drops the chain of some
		return model.Errorf(model.KindNoSpace, "the disk is full, so nothing can be saved").Wrap(err).
			WithWhy("%s failed", doing).
			WithHint("free some space on the disk of %s, then try again; what runs goes on running", filepath.Dir(path))
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return model.Errorf(model.KindUnavailable, "pandabox is shutting down").Wrap(err).WithHint("try again in a moment")
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return model.Errorf(model.KindInternal, "%s cannot be used", path).Wrap(err).WithWhy("%s: %s", doing, err).
			WithHint("run pandabox as root, on a disk that can be written to")
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func damaged(path string, err error) error {
	return model.Errorf(model.KindInternal, "%s is not a whole store of pandabox", path).Wrap(err).WithWhy("%s", err).
		WithHint("stop the daemon and put a backup back: pandabox restore FILE")
}

// zeroIfMissing returns v, or zero when err is ErrNotFound.
func zeroIfMissing[T any](v, zero T, err error) (T, error) {
	if errors.Is(err, ErrNotFound) {
		return zero, nil
	}
	return v, err
}

// guarded runs fn, which reads a file that may be damaged. bbolt trusts its pages: a bent one makes it panic or read
// outside of the file.
func guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, fmt.Errorf("reading it: %v", r))
		}
	}()
	return fn()
}
