//go:build linux

package js

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js/engine"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// store keeps snapshots in files, so that idle programs take no memory and a restart evaluates nothing again:
//
//	DIR/KEY/base.snap, base.json    the engine after its boot; KEY is the digest of all that goes into it
//	DIR/KEY/DIGEST-HANDLERS.snap    a program
//	DIR/KEY/DIGEST.map              a source map
//
// Files of other keys, and programs nobody opened for a month, are removed when it is opened.
type store struct{ dir string } // "": snapshots are in memory

const kept = 30 * 24 * time.Hour

func openStore(dir string, p Prelude) (store, error) {
	if dir == "" {
		return store{}, nil
	}
	h := sha256.New()
	for _, part := range []string{engine.Digest, p.Source, consoleScript, runtimeScript} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
	}
	for _, f := range append(bridged(p.Functions), own()...) {
		_, _ = fmt.Fprintln(h, f.name)
	}
	key := hex.EncodeToString(h.Sum(nil))[:32]
	s := store{dir: filepath.Join(dir, key)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return store{}, fmt.Errorf("making the directory of snapshots: %w", err)
	}
	return s, s.sweep(dir, key, time.Now())
}

// sweep removes what is of no use any more.
func (s store) sweep(dir, key string, now time.Time) error {
	others, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the directory of snapshots: %w", err)
	}
	for _, o := range others {
		if len(o.Name()) == len(key) && o.Name() != key {
			if err := os.RemoveAll(filepath.Join(dir, o.Name())); err != nil {
				return fmt.Errorf("removing old snapshots: %w", err)
			}
		}
	}
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("reading the directory of snapshots: %w", err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || strings.HasPrefix(f.Name(), "base.") || now.Sub(info.ModTime()) < kept {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an old snapshot: %w", err)
		}
	}
	return nil
}

// keep takes a snapshot of an instance, and closes the instance.
func (s store) keep(ctx context.Context, m *vm.Module, i *vm.Instance, base *vm.Snapshot, name string) (*vm.Snapshot, error) {
	snap, err := i.Snapshot(base)
	if err != nil {
		_ = i.Close(ctx)
		return nil, fmt.Errorf("keeping the state of a function: %w", err)
	}
	if s.dir == "" {
		return snap, i.Close(ctx)
	}
	err = errors.Join(snap.Save(s.path(name)), i.Close(ctx), snap.Close())
	if err != nil {
		return nil, fmt.Errorf("keeping the state of a function: %w", err)
	}
	return m.OpenSnapshot(s.path(name), base)
}

func (s store) path(name string) string { return filepath.Join(s.dir, name+".snap") }

// saveBase keeps where things are in the base. It is written after the snapshot: a base without it is none.
func (s store) saveBase(r realm) error {
	if s.dir == "" {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the engine's state: %w", err)
	}
	tmp := filepath.Join(s.dir, "base.tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("keeping the engine's state: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, "base.json")); err != nil {
		return fmt.Errorf("keeping the engine's state: %w", err)
	}
	return nil
}

// base opens the base that was kept, nil where there is none that can be used.
func (s store) base(m *vm.Module) (*vm.Snapshot, realm) {
	var r realm
	if s.dir == "" {
		return nil, r
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "base.json"))
	if err != nil || json.Unmarshal(b, &r) != nil {
		return nil, r
	}
	snap, err := m.OpenSnapshot(s.path("base"), nil)
	if err != nil {
		return nil, r
	}
	return snap, r
}

// forget removes every program: their base is made anew.
func (s store) forget() error {
	if s.dir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	if err != nil {
		return fmt.Errorf("removing old snapshots: %w", err)
	}
	return nil
}

// programKey is what a program's state depends on besides the base.
func programKey(main []byte, memory int64) string {
	h := sha256.New()
	_, _ = h.Write(main)
	_, _ = fmt.Fprint(h, memory)
	return hex.EncodeToString(h.Sum(nil))
}

// program opens the snapshot of a program that was kept, and tells its handlers.
func (s store) program(m *vm.Module, base *vm.Snapshot, key string) (*vm.Snapshot, int) {
	if s.dir == "" {
		return nil, 0
	}
	for handlers := handlesFetch; handlers <= handlesFetch|handlesScheduled; handlers++ {
		path := s.path(key + "-" + strconv.Itoa(handlers))
		if snap, err := m.OpenSnapshot(path, base); err == nil {
			now := time.Now()
			_ = os.Chtimes(path, now, now) // at worst it is removed too early, and made again
			return snap, handlers
		}
	}
	return nil, 0
}

// sourceMap puts a source map into a file, since few are ever looked at: it returns the map, or the file's name.
func (s store) sourceMap(raw []byte) ([]byte, string, error) {
	if s.dir == "" || len(raw) == 0 {
		return raw, "", nil
	}
	sum := sha256.Sum256(raw)
	file := filepath.Join(s.dir, hex.EncodeToString(sum[:])+".map")
	now := time.Now()
	if info, err := os.Stat(file); err == nil && info.Size() == int64(len(raw)) {
		_ = os.Chtimes(file, now, now) // at worst it is removed too early, and the bundle's lines are shown
		return nil, file, nil
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return nil, "", fmt.Errorf("keeping a source map: %w", err)
	}
	return nil, file, nil
}
