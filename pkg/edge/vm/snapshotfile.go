//go:build linux

package vm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/pandabox/pandabox/pkg/model"
)

// A snapshot's file: magic, the length of the header, the CRC of the header, the header as JSON, zeros up to a page, pages.
const magic = "pbxsnap1"

const maxHeader = 16 << 20

// Save writes the snapshot to a file, atomically and durably. The snapshot itself stays in memory: close it and open the
// file to have one that costs little while no instance uses it.
func (s *Snapshot) Save(path string) error {
	if err := s.acquire(); err != nil {
		return err
	}
	defer s.release()
	head, err := json.Marshal(s.header)
	if err != nil {
		return fmt.Errorf("encoding a snapshot: %w", err)
	}
	b := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(head)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(head, crc32.MakeTable(crc32.Castagnoli)))
	b = append(b, head...)
	b = append(b, make([]byte, -len(b)&(osPage-1))...)
	return writeFile(path, b, s.view)
}

// OpenSnapshot opens what Save wrote. base is the one it was taken against, nil where that was the module's own data. A
// file that is damaged, or of another module or base, is a *model.Error of KindConflict: take the snapshot again.
func (m *Module) OpenSnapshot(path string, base *Snapshot) (*Snapshot, error) {
	if base == nil {
		base = m.shared.image
	}
	s, err := openSnapshot(path)
	if err != nil {
		return nil, err
	}
	if s.Module != m.shared.digest || s.Base != base.ID || len(s.Globals) != len(m.shared.meta.Globals) {
		return nil, model.Conflict("the snapshot %s is of something else", filepath.Base(path))
	}
	s.base = base
	return s, nil
}

func openSnapshot(path string) (*Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a snapshot: %w", err)
	}
	defer func() { _ = f.Close() }()
	damaged := model.Conflict("the snapshot %s is damaged", filepath.Base(path))
	start := make([]byte, len(magic)+8)
	if _, err := io.ReadFull(f, start); err != nil || !bytes.HasPrefix(start, []byte(magic)) {
		return nil, damaged
	}
	n, sum := binary.LittleEndian.Uint32(start[len(magic):]), binary.LittleEndian.Uint32(start[len(magic)+4:])
	if n > maxHeader {
		return nil, damaged
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(f, head); err != nil || crc32.Checksum(head, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, damaged
	}
	s := &Snapshot{path: path, fd: -1}
	if err := json.Unmarshal(head, &s.header); err != nil {
		return nil, damaged.Wrap(err)
	}
	s.from = int64(len(start)+int(n)+osPage-1) &^ (osPage - 1)
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at a snapshot: %w", err)
	}
	if info.Size() != s.from+s.Size() {
		return nil, damaged.WithWhy("it has %d bytes, not %d", info.Size(), s.from+s.Size())
	}
	return s, nil
}

// writeFile writes a file of parts that is there as a whole or not at all.
func writeFile(path string, parts ...[]byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	for _, p := range parts {
		if _, err := f.Write(p); err != nil {
			_ = f.Close()
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
