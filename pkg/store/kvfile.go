package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/pandabox/pandabox/pkg/model"
)

// kvSchema is the version of the tree in a KV's file.
const kvSchema = 1

// The buckets of a KV's file. They are read only.
var (
	kvMeta     = []byte("meta")
	kvValues   = []byte("values")
	kvUses     = []byte("used")
	kvExpiries = []byte("expiry")
	kvVersion  = []byte("schema")
)

// begin makes the file current and private.
func (kv *KV) begin() error {
	if err := os.Chmod(kv.path, 0o600); err != nil {
		return explain("protecting the key-value store", kv.path, err)
	}
	var have int
	err := kv.db.View(func(tx *bbolt.Tx) (err error) {
		have, err = kvSchemaOf(tx, kv.path)
		return err
	})
	if err != nil || have == kvSchema {
		return err
	}
	return explain("making the key-value store", kv.path, kv.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{kvMeta, kvValues, kvUses, kvExpiries} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(kvMeta).Put(kvVersion, []byte(strconv.Itoa(kvSchema)))
	}))
}

// kvSchemaOf returns the version of a file, 0 of an empty one, and refuses a file that this program cannot use.
func kvSchemaOf(tx *bbolt.Tx, path string) (int, error) {
	meta := tx.Bucket(kvMeta)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return 0, damaged(path, fmt.Errorf("it holds %q and no schema", name))
		}
		return 0, nil
	}
	have, err := strconv.Atoi(string(meta.Get(kvVersion)))
	switch {
	case err != nil || have < 1:
		return 0, damaged(path, errors.New("its schema has no version"))
	case have > kvSchema:
		return 0, model.Conflict("the key-value store was written by a newer pandabox").
			WithWhy("its schema is version %d, this program knows versions up to %d", have, kvSchema).
			WithHint("use the pandabox that wrote it, or a newer one")
	}
	for _, name := range [][]byte{kvValues, kvUses, kvExpiries} {
		if tx.Bucket(name) == nil {
			return 0, damaged(path, fmt.Errorf("its bucket %s is missing", name))
		}
	}
	return have, nil
}

// Snapshot writes the file as of the last write to w while it goes on being used. size, unless nil, is told the number
// of bytes first.
func (kv *KV) Snapshot(ctx context.Context, w io.Writer, size func(int64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return kv.read(func(tx *bbolt.Tx) error {
		if size != nil {
			if err := size(tx.Size()); err != nil {
				return err
			}
		}
		if _, err := tx.WriteTo(w); err != nil {
			return fmt.Errorf("writing a snapshot of the key-value store: %w", err)
		}
		return nil
	})
}

// RestoreKV puts a snapshot in the place of the file at path, which no daemon may have open. The snapshot is checked
// whole first. Nothing changes when it returns an error.
func RestoreKV(path string, snapshot io.Reader) error {
	unlock, err := lock(path)
	if err != nil {
		return err
	}
	defer unlock()
	err = replaceFile(path, func(f *os.File) error {
		if _, err := io.Copy(f, snapshot); err != nil {
			return explain("copying the snapshot", path, err)
		}
		return CheckKV(f.Name())
	})
	return explain("restoring the key-value store", path, err)
}

// CheckKV reads the whole file at path, which nobody may be writing to, and refuses what is not a sound key-value store
// that this binary can use.
func CheckKV(path string) error {
	return inspect(path, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error {
			have, err := kvSchemaOf(tx, path)
			if err == nil && have == 0 {
				err = damaged(path, errors.New("it is empty"))
			}
			if err != nil {
				return err
			}
			// Each environment is a bucket in a bucket, which sound does not look into before bbolt's own check does.
			values := tx.Bucket(kvValues)
			err = values.ForEachBucket(func(env []byte) error {
				return values.Bucket(env).ForEach(func(k, v []byte) error {
					_ = append(append([]byte(nil), k...), v...)
					return nil
				})
			})
			if err != nil {
				return damaged(path, err)
			}
			return sound(tx, path)
		})
	})
}
