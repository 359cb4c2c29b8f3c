package git

import (
	"context"
	"crypto/sha1" //nolint:gosec // git names packs by it
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const packHeader = 12 // bytes: PACK, the version, how many objects

// bound keeps a repository from growing without end: many packs become one, and one that is too large begins anew. Then
// git sends all of the history with the next push.
func (s *Server) bound(ctx context.Context, r *repo) error {
	names, err := packsIn(r.packDir())
	if err != nil {
		return err
	}
	size, objects := int64(0), uint64(0)
	for _, name := range names {
		n, bytes, err := measure(filepath.Join(r.packDir(), name+".pack"))
		if err != nil {
			return err
		}
		size, objects = size+bytes, objects+uint64(n)
	}
	switch {
	case size > MaxRepository || len(names) > MaxPacks && objects > MaxObjects:
		return r.empty(names)
	case len(names) > MaxPacks:
		return s.look(ctx, func() error { return r.merge(names, uint32(objects)) }) // at most MaxObjects
	}
	return nil
}

// measure returns how many objects a pack has, and how long it is.
func measure(file string) (objects uint32, size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, fmt.Errorf("measuring a pack: %w", err)
	}
	defer func() { _ = f.Close() }()
	var head [packHeader]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, 0, fmt.Errorf("measuring a pack: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, 0, fmt.Errorf("measuring a pack: %w", err)
	}
	return binary.BigEndian.Uint32(head[8:]), info.Size(), nil
}

// empty forgets everything pushed.
func (r *repo) empty(packs []string) error {
	err := errors.Join(r.setRefs(nil), r.setShallows(nil))
	for _, name := range packs {
		err = errors.Join(err, r.drop(name))
	}
	return err
}

// drop removes a pack; its index, by which it is found, goes first.
func (r *repo) drop(name string) error {
	return errors.Join(os.Remove(filepath.Join(r.packDir(), name+".idx")), os.Remove(filepath.Join(r.packDir(), name+".pack")))
}

// merge makes one pack of many by putting one's objects behind the other's: a difference names its base by how far in
// front of it that stands, or by hash, and no pack here has one to an object of another.
func (r *repo) merge(names []string, objects uint32) (err error) {
	f, err := os.CreateTemp(r.packDir(), mergeFile)
	if err != nil {
		return fmt.Errorf("merging packs: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha1.New() //nolint:gosec // git names packs by it
	w := io.MultiWriter(f, sum)
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), objects)
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("merging packs: %w", err)
	}
	for _, name := range names {
		if err := appendPack(w, filepath.Join(r.packDir(), name+".pack")); err != nil {
			return err
		}
	}
	digest := sum.Sum(nil)
	if _, err := f.Write(digest); err != nil {
		return fmt.Errorf("merging packs: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("merging packs: %w", err)
	}
	if err := indexPack(f, filepath.Join(r.packDir(), fmt.Sprintf("pack-%x", digest))); err != nil {
		return err
	}
	for _, name := range names {
		err = errors.Join(err, r.drop(name))
	}
	return err
}

// appendPack writes a pack without its header and trailer.
func appendPack(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("merging packs: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("merging packs: %w", err)
	}
	if _, err := io.Copy(w, io.NewSectionReader(f, packHeader, info.Size()-packHeader-packTrailer)); err != nil {
		return fmt.Errorf("merging packs: %w", err)
	}
	return nil
}
