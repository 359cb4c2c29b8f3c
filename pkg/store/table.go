package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"
)

// table is a bucket of one sort of record, with the unique indexes on it.
type table[T any] struct {
	name    string
	key     func(*T) string
	indexes []index[T]
}

// index finds a record by another key. A record whose key is "" is left out.
type index[T any] struct {
	name string
	key  func(*T) string
}

// bucket returns the bucket of a table, an index or a part of a table.
func (tx *Tx) bucket(name string) *bbolt.Bucket { return tx.b.Bucket([]byte(name)) }

// get returns the record with the primary key, or ErrNotFound.
func (t table[T]) get(tx *Tx, key string) (T, error) {
	var v T
	raw := tx.bucket(t.name).Get([]byte(key))
	if raw == nil {
		return v, fmt.Errorf("%s %q: %w", t.name, key, ErrNotFound)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("decoding %s %q: %w", t.name, key, err)
	}
	return v, nil
}

// by returns the record that an index names, or ErrNotFound.
func (t table[T]) by(tx *Tx, index, key string) (T, error) {
	id := tx.bucket(t.name + "." + index).Get([]byte(key))
	if id == nil {
		var none T
		return none, fmt.Errorf("%s with %s %q: %w", t.name, index, key, ErrNotFound)
	}
	return t.get(tx, string(id))
}

// put writes a record in place of the one with its primary key, and keeps the indexes. ErrTaken when another record
// has one of its index keys.
func (t table[T]) put(tx *Tx, v T) error {
	key := []byte(t.key(&v))
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s %q: %w", t.name, key, err)
	}
	b := tx.bucket(t.name)
	was := b.Get(key)
	if bytes.Equal(was, raw) {
		return nil
	}
	var old *T
	if was != nil && len(t.indexes) > 0 {
		old = new(T)
		if err := json.Unmarshal(was, old); err != nil {
			return fmt.Errorf("decoding %s %q: %w", t.name, key, err)
		}
	}
	for _, ix := range t.indexes {
		k, ib := ix.key(&v), tx.bucket(t.name+"."+ix.name)
		if old != nil {
			if o := ix.key(old); o == k {
				continue
			} else if o != "" {
				if err := ib.Delete([]byte(o)); err != nil {
					return err
				}
			}
		}
		if k == "" {
			continue
		}
		if ib.Get([]byte(k)) != nil {
			return fmt.Errorf("%s with %s %q: %w", t.name, ix.name, k, ErrTaken)
		}
		if err := ib.Put([]byte(k), key); err != nil {
			return err
		}
	}
	tx.wrote = true
	return b.Put(key, raw)
}

// delete removes a record and its index keys. What is not there is deleted already.
func (t table[T]) delete(tx *Tx, key string) error {
	b := tx.bucket(t.name)
	if len(t.indexes) > 0 {
		v, err := t.get(tx, key)
		if errors.Is(err, ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		for _, ix := range t.indexes {
			if k := ix.key(&v); k != "" {
				if err := tx.bucket(t.name + "." + ix.name).Delete([]byte(k)); err != nil {
					return err
				}
			}
		}
	}
	tx.wrote = true
	return b.Delete([]byte(key))
}

// scan chooses records by the keys of a bucket: the table's own with index "", or an index.
type scan struct {
	index   string
	prefix  string // only keys that begin so
	after   string // key without the prefix; begins behind it
	limit   int    // 0: all
	reverse bool
}

// list returns the records a scan chooses, and the after of the next scan, "" when there is no more.
func (t table[T]) list(tx *Tx, s scan) ([]T, string, error) {
	var out []T
	last, more := "", false
	err := t.walk(tx, s, func(key string, raw []byte) (bool, error) {
		if s.limit > 0 && len(out) == s.limit {
			more = true
			return false, nil
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return false, fmt.Errorf("decoding %s %q: %w", t.name, key, err)
		}
		out, last = append(out, v), strings.TrimPrefix(key, s.prefix)
		return true, nil
	})
	if err != nil || !more {
		return out, "", err
	}
	return out, last, nil
}

// walk gives each key a scan chooses, with the record's bytes, to fn until it returns false.
func (t table[T]) walk(tx *Tx, s scan, fn func(key string, raw []byte) (bool, error)) error {
	b, primary := tx.bucket(t.name), tx.bucket(t.name)
	if s.index != "" {
		b = tx.bucket(t.name + "." + s.index)
	}
	for k, v := range keys(b, s) {
		if s.index != "" {
			if v = primary.Get(v); v == nil {
				return fmt.Errorf("index %s.%s names %q, which is not there", t.name, s.index, k)
			}
		}
		if on, err := fn(string(k), v); err != nil || !on {
			return err
		}
	}
	return nil
}

// any tells whether a scan chooses anything.
func (t table[T]) any(tx *Tx, s scan) bool {
	b := tx.bucket(t.name)
	if s.index != "" {
		b = tx.bucket(t.name + "." + s.index)
	}
	for range keys(b, s) {
		return true
	}
	return false
}

// keys ranges over the keys a scan chooses.
func keys(b *bbolt.Bucket, s scan) func(yield func(k, v []byte) bool) {
	prefix, after := []byte(s.prefix), []byte(s.prefix+s.after)
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		var k, v []byte
		step := c.Next
		switch {
		case s.reverse && s.after != "":
			step = c.Prev
			if k, _ = c.Seek(after); k == nil {
				k, v = c.Last()
			} else {
				k, v = c.Prev()
			}
		case s.reverse:
			step = c.Prev
			if k, _ = c.Seek(append(bytes.Clone(prefix), 0xff)); k == nil { // keys are ASCII
				k, v = c.Last()
			} else {
				k, v = c.Prev()
			}
		default:
			if k, v = c.Seek(after); s.after != "" && bytes.Equal(k, after) {
				k, v = c.Next()
			}
		}
		for ; k != nil && bytes.HasPrefix(k, prefix); k, v = step() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// number formats n so that text order is number order.
func number(n uint64) string { return fmt.Sprintf("%020d", n) }

func join(parts ...string) string { return strings.Join(parts, "/") }

// sameJSON tells whether two values are stored alike. Times decoded and times made compare equal by it.
func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
