package control

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/secrets"
	"github.com/pandabox/pandabox/pkg/store"
)

// unpacked is a backup in a directory, before any of it is in its place.
type unpacked struct {
	dir     string
	format  int // of the backup
	keys    []byte
	hostKey bool                // it has the key of the SSH door
	kv      bool                // it has a key-value store
	byHash  []string            // bundles and sources: names in the backup
	pushed  map[string][]string // files of repositories, by APPID.git
	sums    strings.Builder
}

// read unpacks a backup, and returns nil once every sum was right.
func (u *unpacked) read(ctx context.Context, r io.Reader) error {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	t := tar.NewReader(zip)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("it ends too early")
		} else if err != nil {
			return err
		}
		if h.Name == sumsFile {
			text, err := io.ReadAll(io.LimitReader(t, maxSums))
			if err == nil && string(text) != u.sums.String() {
				err = errors.New("its checksums do not fit its content")
			}
			return err
		}
		if err := u.take(h.Name, t); err != nil {
			return err
		}
	}
}

// take unpacks one file.
func (u *unpacked) take(name string, r io.Reader) (err error) {
	switch {
	case name == manifestFile:
		u.format, err = readManifest(r)
		return err
	case name == keyName:
		if u.keys, err = io.ReadAll(io.LimitReader(r, maxKeyFile)); err == nil {
			addSum(&u.sums, name, sha256.Sum256(u.keys))
		}
		return err
	case name == storeName:
		_, err = u.save(name, r)
		return err
	case name == kvName:
		u.kv = true
		_, err = u.save(name, r)
		return err
	case name == hostKeyName:
		u.hostKey = true
		if err := os.MkdirAll(filepath.Join(u.dir, path.Dir(name)), 0o700); err != nil {
			return err
		}
		_, err = u.save(name, io.LimitReader(r, maxHostKey+1))
		return err
	case isRepositoryFile(name):
		return u.takeRepositoryFile(name, r)
	case isBundle(name):
		return u.saveByHash(name, path.Base(name), io.LimitReader(r, model.MaxFunctionBundle+1))
	case isSource(name):
		return u.saveByHash(name, strings.TrimSuffix(path.Base(name), sourceExt), io.LimitReader(r, maxSource+1))
	}
	return fmt.Errorf("it holds %q, which no backup has", name)
}

// saveByHash writes a file whose name says its hash.
func (u *unpacked) saveByHash(name, hash string, r io.Reader) error {
	u.byHash = append(u.byHash, name)
	if err := os.MkdirAll(filepath.Join(u.dir, path.Dir(name)), 0o700); err != nil {
		return err
	}
	sum, err := u.save(name, r)
	if err == nil && sum != hash {
		err = fmt.Errorf("%s is not what its name says", name)
	}
	return err
}

// save writes a file and returns its SHA-256.
func (u *unpacked) save(name string, r io.Reader) (string, error) {
	sum, err := saveFile(r, filepath.Join(u.dir, filepath.FromSlash(name)))
	u.sums.WriteString(sum + "  " + name + "\n")
	return sum, err
}

// check refuses stores that are not sound, and keys that are not the store's own.
func (u *unpacked) check(ctx context.Context) error {
	ring, err := secrets.Parse(u.keys)
	if err != nil {
		return err
	}
	file := filepath.Join(u.dir, storeName)
	if err := store.Check(file); err != nil {
		return err
	}
	if u.kv {
		if err := store.CheckKV(filepath.Join(u.dir, kvName)); err != nil {
			return err
		}
	}
	sealed, err := store.KeyCheck(ctx, file)
	if err != nil {
		return err
	}
	if err := checkKey(ring, sealed); err != nil {
		return err
	}
	if err := u.checkPushed(); err != nil {
		return notABackup(err)
	}
	return nil
}

// place moves bundles, sources, what was pushed and the key-value store to where they belong. A backup without a key-value store leaves
// the one that is there alone: its environments are not those of the backup.
func (u *unpacked) place(dataDir string) error {
	for _, name := range u.byHash {
		file := filepath.FromSlash(name)
		if err := os.MkdirAll(filepath.Join(dataDir, filepath.Dir(file)), 0o700); err != nil {
			return fmt.Errorf("making a place for %s: %w", name, err)
		}
		if err := os.Rename(filepath.Join(u.dir, file), filepath.Join(dataDir, file)); err != nil {
			return fmt.Errorf("putting %s in place: %w", name, err)
		}
	}
	if err := u.placePushed(dataDir); err != nil {
		return err
	}
	if !u.kv {
		return nil
	}
	snapshot, err := os.Open(filepath.Join(u.dir, kvName))
	if err != nil {
		return fmt.Errorf("opening the unpacked key-value store: %w", err)
	}
	defer func() { _ = snapshot.Close() }()
	file := KVFile(dataDir)
	if err := os.Remove(file + store.EndingBefore); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(file, file+store.EndingBefore); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keeping the key-value store that is replaced: %w", err)
	}
	return store.RestoreKV(file, snapshot)
}

// readManifest returns the backup's format.
func readManifest(r io.Reader) (int, error) {
	var m manifest
	if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(&m); err != nil {
		return 0, err
	}
	if m.Format < 1 || m.Format > formatNow {
		return 0, fmt.Errorf("its format is %d, this program knows 1 to %d", m.Format, formatNow)
	}
	return m.Format, nil
}

// saveFile writes r to a new file and returns its SHA-256.
func saveFile(r io.Reader, file string) (sum string, err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), r); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func notABackup(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return model.Errorf(model.KindNoSpace, "the disk is full, so the backup cannot be unpacked").Wrap(err).
			WithHint("free some space on the disk of the data directory, then try again; nothing was changed")
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || model.KindOf(err) != model.KindInternal {
		return err
	}
	return model.Invalid("this is not a whole backup of pandabox").Wrap(err).WithWhy("%s", err).
		WithHint("use a file that pandabox backup wrote, copied whole")
}
