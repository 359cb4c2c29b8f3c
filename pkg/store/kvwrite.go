package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	kvBatch = 500  // writes of one transaction
	kvGone  = 1000 // expired or forgotten keys of one transaction
	kvEntry = 16   // bytes that an entry counts besides its key and value
)

// kvWrite is one write on its way. It changes nothing where it returns an error.
type kvWrite struct {
	do   func(*bbolt.Tx) error
	err  error // of do itself
	done chan error
}

// do runs fn in a transaction that it may share with other writes, and returns once that is on the disk. When ctx ends
// first, the write may still be done.
func (kv *KV) do(ctx context.Context, fn func(*bbolt.Tx) error) error {
	w := &kvWrite{do: fn, done: make(chan error, 1)}
	select {
	case kv.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-kv.stop:
		return explain("saving", kv.path, berrors.ErrDatabaseNotOpen)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write does writes until Close: all that wait at one moment in one transaction.
func (kv *KV) write() {
	for {
		var batch []*kvWrite
		select {
		case w := <-kv.writes:
			batch = append(batch, w)
		case <-kv.stop:
			return
		}
		for more := true; more && len(batch) < kvBatch; {
			select {
			case w := <-kv.writes:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		kv.commit(batch)
	}
}

func (kv *KV) commit(batch []*kvWrite) {
	err := kv.update(func(tx *bbolt.Tx) error {
		for _, w := range batch {
			var told *model.Error
			if w.err = w.do(tx); w.err != nil && !errors.As(w.err, &told) {
				return w.err
			}
		}
		return nil
	})
	for _, w := range batch {
		if w.err != nil && err == nil {
			w.done <- w.err
			continue
		}
		w.done <- err
	}
}

func (kv *KV) update(fn func(*bbolt.Tx) error) error {
	return guarded(kv.path, func() error { return explain("saving", kv.path, kv.db.Update(fn)) })
}

func (kv *KV) read(fn func(*bbolt.Tx) error) error {
	return explain("reading", kv.path, kv.db.View(fn))
}

func (kv *KV) put(tx *bbolt.Tx, envID string, key, raw []byte) error {
	need := func() (before, after int64, old []byte) {
		if b := tx.Bucket(kvValues).Bucket([]byte(envID)); b != nil {
			old = b.Get(key)
		}
		before = kvUsed(tx, envID)
		after = before + kvSize(key, raw)
		if old != nil {
			after -= kvSize(key, old)
		}
		return before, after, old
	}
	before, after, old := need()
	if after > kv.quota && after > before {
		// What has expired does not count, so it has to go now.
		for swept := kvGone; swept == kvGone; {
			var err error
			if swept, err = kvSweep(tx, kv.now()); err != nil {
				return err
			}
		}
		if before, after, old = need(); after > kv.quota && after > before {
			return model.Errorf(model.KindTooLarge, "the environment's key-value store is full").
				WithWhy("it holds %d of %d MB", before>>20, kv.quota>>20).
				WithHint("delete keys, or let them expire: pandabox kv list; large data belongs into a service or a volume")
		}
	}
	b, err := tx.Bucket(kvValues).CreateBucketIfNotExists([]byte(envID))
	if err != nil {
		return err
	}
	if err := kvUnexpire(tx, envID, key, old); err != nil {
		return err
	}
	if at := raw[:8]; !bytes.Equal(at, make([]byte, 8)) {
		if err := tx.Bucket(kvExpiries).Put(kvExpiryKey(at, envID, key), nil); err != nil {
			return err
		}
	}
	if err := b.Put(key, raw); err != nil {
		return err
	}
	return kvUse(tx, envID, after)
}

func kvDelete(tx *bbolt.Tx, envID string, key []byte) error {
	b := tx.Bucket(kvValues).Bucket([]byte(envID))
	if b == nil {
		return nil
	}
	old := b.Get(key)
	if old == nil {
		return nil
	}
	used := kvUsed(tx, envID) - kvSize(key, old)
	if err := kvUnexpire(tx, envID, key, old); err != nil {
		return err
	}
	if err := b.Delete(key); err != nil {
		return err
	}
	return kvUse(tx, envID, used)
}

// kvForget removes some of an environment, and tells whether that was all.
func kvForget(tx *bbolt.Tx, envID string) (bool, error) {
	b := tx.Bucket(kvValues).Bucket([]byte(envID))
	if b == nil {
		return true, nil
	}
	var some [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil && len(some) < kvGone; k, _ = c.Next() {
		some = append(some, bytes.Clone(k))
	}
	for _, k := range some {
		if err := kvDelete(tx, envID, k); err != nil {
			return false, err
		}
	}
	if len(some) == kvGone {
		return false, nil
	}
	if err := tx.Bucket(kvUses).Delete([]byte(envID)); err != nil {
		return false, err
	}
	return true, tx.Bucket(kvValues).DeleteBucket([]byte(envID))
}

// sweep removes what has expired, now and then, until Close.
func (kv *KV) sweep(every time.Duration) {
	look := time.NewTicker(every)
	defer look.Stop()
	for {
		select {
		case <-kv.stop:
			return
		case <-look.C:
		}
		for swept := kvGone; swept == kvGone; {
			if !kv.expired() {
				break
			}
			// What fails is tried again the next time; until then readers do not see it either.
			if kv.update(func(tx *bbolt.Tx) (err error) { swept, err = kvSweep(tx, kv.now()); return err }) != nil {
				break
			}
		}
	}
}

// expired tells whether there is anything to sweep: an empty transaction would be written all the same.
func (kv *KV) expired() (any bool) {
	_ = kv.read(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(kvExpiries).Cursor().First()
		any = len(k) > 8 && int64(binary.BigEndian.Uint64(k)) <= kv.now().UnixNano()
		return nil
	})
	return any
}

// kvSweep removes at most kvGone keys that have expired, and returns how many.
func kvSweep(tx *bbolt.Tx, now time.Time) (int, error) {
	var some [][]byte
	c := tx.Bucket(kvExpiries).Cursor()
	for k, _ := c.First(); k != nil && len(some) < kvGone; k, _ = c.Next() {
		if int64(binary.BigEndian.Uint64(k)) > now.UnixNano() {
			break
		}
		some = append(some, bytes.Clone(k))
	}
	for _, k := range some {
		env, key, _ := bytes.Cut(k[8:], []byte{0})
		if err := kvDelete(tx, string(env), key); err != nil {
			return 0, err
		}
	}
	return len(some), nil
}

// kvUnexpire removes the note of when an entry expires.
func kvUnexpire(tx *bbolt.Tx, envID string, key, old []byte) error {
	if len(old) < 8 || bytes.Equal(old[:8], make([]byte, 8)) {
		return nil
	}
	return tx.Bucket(kvExpiries).Delete(kvExpiryKey(old[:8], envID, key))
}

func kvExpiryKey(at []byte, envID string, key []byte) []byte {
	out := make([]byte, 0, 8+len(envID)+1+len(key))
	return append(append(append(append(out, at...), envID...), 0), key...)
}

func kvSize(key, raw []byte) int64 { return int64(len(key) + len(raw) - 8 + kvEntry) }

func kvUsed(tx *bbolt.Tx, envID string) int64 {
	raw := tx.Bucket(kvUses).Get([]byte(envID))
	if len(raw) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw))
}

func kvUse(tx *bbolt.Tx, envID string, used int64) error {
	return tx.Bucket(kvUses).Put([]byte(envID), binary.BigEndian.AppendUint64(nil, uint64(used)))
}
