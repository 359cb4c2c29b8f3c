//go:build linux

package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// devLock is how long fn dev waits for another one in the same folder to end.
const devLock = 2 * time.Second

// devKV is the store of the only environment of fn dev.
type devKV struct {
	*store.KV
	env string
}

var _ guest.KV = devKV{}

// openDevKV opens the store in a folder, which is made so that git does not see it.
func openDevKV(folder string) (*devKV, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, model.Invalid("the folder %s cannot be made", folder).Wrap(err).WithHint("fn dev keeps env.KV there")
	}
	ignore := filepath.Join(folder, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o600); err != nil {
			return nil, model.Invalid("%s cannot be written", ignore).Wrap(err)
		}
	}
	kv, err := store.OpenKV(filepath.Join(folder, "kv.db"), store.KVOptions{LockTimeout: devLock})
	switch {
	case model.KindOf(err) == model.KindConflict:
		return nil, model.Conflict("another fn dev runs in this folder").Wrap(err).WithWhy("it has %s open", filepath.Join(folder, "kv.db")).WithHint("end it first")
	case err != nil:
		return nil, err
	}
	return &devKV{KV: kv, env: "dev"}, nil
}

// Get implements guest.KV.
func (d devKV) Get(ctx context.Context, key string) ([]byte, bool, error) {
	return d.KV.Get(ctx, d.env, key)
}

// Put implements guest.KV.
func (d devKV) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return d.KV.Put(ctx, d.env, key, value, ttl)
}

// Delete implements guest.KV.
func (d devKV) Delete(ctx context.Context, key string) error { return d.KV.Delete(ctx, d.env, key) }

// List implements guest.KV.
func (d devKV) List(ctx context.Context, prefix, after string, limit int) ([]guest.KVKey, bool, error) {
	found, more, err := d.KV.List(ctx, d.env, prefix, after, limit)
	keys := make([]guest.KVKey, len(found))
	for i, k := range found {
		keys[i] = guest.KVKey(k)
	}
	return keys, more, err
}
