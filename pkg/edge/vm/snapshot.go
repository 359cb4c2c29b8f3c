//go:build linux

package vm

import (
	"context"
	"errors"
)

// ErrNoSnapshot says that the state of a module cannot be kept or brought back: it changes its tables, or memory grew
// since. Make a new instance instead.
var ErrNoSnapshot = errors.New("its state cannot be kept")

// Snapshot is the state of an instance: memory and globals. Instances begin with it, and are brought back to it.
type Snapshot struct{}

// Snapshot takes the state of the instance, which is between calls. base is one that most of the state is equal to, or
// nil: only what differs from it is kept. The instance itself may be reset to it from then on.
func (i *Instance) Snapshot(base *Snapshot) (*Snapshot, error) { return nil, ErrNoSnapshot }

// OpenSnapshot opens what Save wrote. base is the one it was taken against, nil where there was none. An idle snapshot
// holds no memory and no file.
func (m *Module) OpenSnapshot(path string, base *Snapshot) (*Snapshot, error) {
	return nil, ErrNoSnapshot
}

// Save writes the snapshot to a file, atomically and durably.
func (s *Snapshot) Save(path string) error { return ErrNoSnapshot }

// Size is how many bytes it holds beyond its base.
func (s *Snapshot) Size() int64 { return 0 }

// Close frees it; the instances that began with it are closed before.
func (s *Snapshot) Close() error { return nil }

// Reset brings the instance back to the snapshot it began with or that was last taken of it. ErrNoSnapshot, after which it
// can only be closed, where that cannot be: memory has grown.
func (i *Instance) Reset(_ context.Context) error { return ErrNoSnapshot }
