package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"go.etcd.io/bbolt"

	"github.com/pandabox/pandabox/pkg/model"
)

// Bounds of a KV.
const (
	MaxKVKey       = 512     // bytes of a key; at least one
	MaxKVValue     = 1 << 20 // bytes of a value
	MaxKVList      = 1000    // keys of one listing
	DefaultKVQuota = 256 << 20
)

// KVOptions are the choices of OpenKV. The zero value is usable.
type KVOptions struct {
	LockTimeout time.Duration    // 0 means DefaultLockTimeout
	Now         func() time.Time // nil means time.Now
	Quota       int64            // bytes of one environment, keys and values; 0 means DefaultKVQuota
	Sweep       time.Duration    // between two looks for what has expired; 0 means a minute
}

// KV keeps the keys and values of environments in a bbolt file of its own:
//
//	meta
//	└─ schema              decimal version of this tree
//	values                 ENV → a bucket: KEY → 8 bytes of expiry, then the value
//	used                   ENV → 8 bytes: what its keys and values take
//	expiry                 8 bytes of expiry, ENV, a zero byte, KEY
//
// Expiries are Unix nanoseconds, big endian; 0 is never. What has expired is gone for every reader at that moment, and
// from the file a little later. A write is on the disk when it returns nil; writes that come at the same time share a
// transaction.
type KV struct {
	db     *bbolt.DB
	path   string
	now    func() time.Time
	quota  int64
	writes chan *kvWrite
	stop   chan struct{}
	once   sync.Once
	tasks  sync.WaitGroup
}

// KVKey is one key of a listing.
type KVKey struct {
	Name      string
	ExpiresAt time.Time // zero: never
}

// OpenKV opens the file path, and makes it if it is not there. It refuses a file that another process has open, a file
// of a newer pandabox, and a file that is not whole.
func OpenKV(path string, o KVOptions) (*KV, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = DefaultLockTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Quota == 0 {
		o.Quota = DefaultKVQuota
	}
	if o.Sweep == 0 {
		o.Sweep = time.Minute
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, explain("making the directory of the key-value store", path, err)
	}
	db, err := openFile(path, o.LockTimeout, false)
	if err != nil {
		return nil, err
	}
	kv := &KV{db: db, path: path, now: o.Now, quota: o.Quota, writes: make(chan *kvWrite), stop: make(chan struct{})}
	if err := guarded(path, kv.begin); err != nil {
		_ = db.Close()
		return nil, err
	}
	kv.tasks.Go(kv.write)
	kv.tasks.Go(func() { kv.sweep(o.Sweep) })
	return kv, nil
}

// Close waits for writes under way and closes the file.
func (kv *KV) Close() error {
	kv.once.Do(func() { close(kv.stop) })
	kv.tasks.Wait()
	if err := kv.db.Close(); err != nil {
		return fmt.Errorf("closing the key-value store: %w", err)
	}
	return nil
}

// Path returns the path of the file.
func (kv *KV) Path() string { return kv.path }

// Get returns a value and whether it is there.
func (kv *KV) Get(ctx context.Context, envID, key string) (value []byte, found bool, err error) {
	if err := kvCheck(ctx, envID, key); err != nil {
		return nil, false, err
	}
	err = kv.read(func(tx *bbolt.Tx) error {
		b := tx.Bucket(kvValues).Bucket([]byte(envID))
		if b == nil {
			return nil
		}
		raw := b.Get([]byte(key))
		if found = kvAlive(raw, kv.now()); found {
			value = append([]byte{}, raw[8:]...)
		}
		return nil
	})
	return value, found, err
}

// Put writes a value, to be forgotten after ttl where that is not zero: at least a second.
func (kv *KV) Put(ctx context.Context, envID, key string, value []byte, ttl time.Duration) error {
	if err := kvCheck(ctx, envID, key); err != nil {
		return err
	}
	switch {
	case len(value) > MaxKVValue:
		return model.Errorf(model.KindTooLarge, "the value of %q is %d bytes long", key, len(value)).WithHint("at most %d bytes fit", MaxKVValue)
	case ttl != 0 && ttl < time.Second:
		return model.Invalid("%s is no time to keep %q", ttl, key).WithHint("keep it for a second or longer, or for good")
	}
	raw := make([]byte, 8, 8+len(value))
	if ttl != 0 {
		binary.BigEndian.PutUint64(raw, uint64(kv.now().Add(ttl).UnixNano()))
	}
	raw = append(raw, value...) // now: the caller may change value once Put has returned early
	return kv.do(ctx, func(tx *bbolt.Tx) error { return kv.put(tx, envID, []byte(key), raw) })
}

// Delete removes a key; none there is no error.
func (kv *KV) Delete(ctx context.Context, envID, key string) error {
	if err := kvCheck(ctx, envID, key); err != nil {
		return err
	}
	return kv.do(ctx, func(tx *bbolt.Tx) error { return kvDelete(tx, envID, []byte(key)) })
}

// List returns keys in order: at most limit (1 to MaxKVList) that begin with prefix and come behind after. more tells
// whether there are others.
func (kv *KV) List(ctx context.Context, envID, prefix, after string, limit int) (found []KVKey, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if limit < 1 || limit > MaxKVList {
		return nil, false, model.Invalid("%d is no number of keys", limit).WithHint("ask for 1 to %d", MaxKVList)
	}
	err = kv.read(func(tx *bbolt.Tx) error {
		b := tx.Bucket(kvValues).Bucket([]byte(envID))
		if b == nil {
			return nil
		}
		c, now := b.Cursor(), kv.now()
		for k, raw := c.Seek([]byte(max(prefix, after))); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, raw = c.Next() {
			if string(k) == after && after != "" || !kvAlive(raw, now) {
				continue
			}
			if len(found) == limit {
				more = true
				return nil
			}
			found = append(found, KVKey{Name: string(k), ExpiresAt: kvExpiry(raw)})
		}
		return nil
	})
	return found, more, err
}

// Forget removes everything of an environment.
func (kv *KV) Forget(ctx context.Context, envID string) error {
	for {
		done := false
		err := kv.do(ctx, func(tx *bbolt.Tx) (err error) { done, err = kvForget(tx, envID); return err })
		if err != nil || done {
			return err
		}
	}
}

// Used returns the bytes that the keys and values of an environment take, of its quota.
func (kv *KV) Used(ctx context.Context, envID string) (used, quota int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	err = kv.read(func(tx *bbolt.Tx) error {
		used = kvUsed(tx, envID)
		return nil
	})
	return used, kv.quota, err
}

func kvCheck(ctx context.Context, envID, key string) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case envID == "":
		return fmt.Errorf("using the key-value store: no environment")
	case key == "" || len(key) > MaxKVKey || !utf8.ValidString(key):
		return model.Invalid("%.80q is not a key", key).WithHint("a key is 1 to %d bytes of text", MaxKVKey)
	}
	return nil
}

func kvAlive(raw []byte, now time.Time) bool {
	if len(raw) < 8 {
		return false
	}
	at := binary.BigEndian.Uint64(raw)
	return at == 0 || int64(at) > now.UnixNano()
}

func kvExpiry(raw []byte) time.Time {
	if at := binary.BigEndian.Uint64(raw); at != 0 {
		return time.Unix(0, int64(at)).UTC()
	}
	return time.Time{}
}
