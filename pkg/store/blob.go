package store

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"time"
)

const bucketBlobs = "blobs"

// LoadBlob returns a value and when it was saved, or fs.ErrNotExist.
func (s *Store) LoadBlob(key string) (value []byte, saved time.Time, err error) {
	err = s.read(func(tx *Tx) error {
		raw := tx.bucket(bucketBlobs).Get([]byte(key))
		if len(raw) < 8 {
			return &fs.PathError{Op: "load", Path: key, Err: fs.ErrNotExist}
		}
		saved = time.Unix(0, int64(binary.BigEndian.Uint64(raw))).UTC()
		value = bytes.Clone(raw[8:])
		return nil
	})
	return value, saved, err
}

// SaveBlob writes a value.
func (s *Store) SaveBlob(key string, value []byte) error {
	return s.change(func(tx *Tx) error {
		raw := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(value)), uint64(tx.Now().UnixNano()))
		tx.wrote = true
		return tx.bucket(bucketBlobs).Put([]byte(key), append(raw, value...))
	})
}

// DeleteBlob deletes the value at key and everything under key + "/". What is not there is deleted already.
func (s *Store) DeleteBlob(key string) error {
	return s.change(func(tx *Tx) error {
		b := tx.bucket(bucketBlobs)
		gone := [][]byte{[]byte(key)}
		for k := range keys(b, scan{prefix: key + "/"}) {
			gone = append(gone, bytes.Clone(k))
		}
		for _, k := range gone {
			if b.Get(k) == nil {
				continue
			}
			tx.wrote = true
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}

// ListBlobs returns the keys that begin with prefix, sorted.
func (s *Store) ListBlobs(prefix string) (found []string, err error) {
	err = s.read(func(tx *Tx) error {
		for k := range keys(tx.bucket(bucketBlobs), scan{prefix: prefix}) {
			found = append(found, string(k))
		}
		return nil
	})
	return found, err
}
