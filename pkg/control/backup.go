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
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/secrets"
	"github.com/pandabox/pandabox/pkg/store"
)

// Where things are in a data directory, and in a backup.
const (
	storeName = "pandabox.db"
	keyName   = "keys/master"
)

// StoreFile returns the path of the store in a data directory.
func StoreFile(dataDir string) string { return filepath.Join(dataDir, storeName) }

// KeyFile returns the path of the master key in a data directory.
func KeyFile(dataDir string) string { return filepath.Join(dataDir, filepath.FromSlash(keyName)) }

const (
	manifestFile = "backup.json"
	maxManifest  = 1 << 16
	maxKeyFile   = 1 << 20
)

// manifest is the first file of a backup. The sums are in the last one, since the store's is known only at its end.
type manifest struct {
	Format    int       `json:"format"` // 1
	Version   string    `json:"version"`
	Schema    int       `json:"schema"`
	CreatedAt time.Time `json:"createdAt"`
}

const sumsFile = "SHA256SUMS"

// Backup writes an archive (tar, gzip) of all control state with the keys that open it: whoever has it can read every
// secret of the box. Volumes, images and logs are not in it.
func (b *Box) Backup(ctx context.Context, actor model.Actor, w io.Writer) error {
	err := b.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := b.c.boxOrg(tx, actor, identity.BoxBackup)
		if err != nil {
			return err
		}
		return b.c.record(tx, actor, o.ID, "box.backup", "this box", "")
	})
	if err != nil && model.KindOf(err) != model.KindNoSpace { // a backup is what one wants of a full disk
		return err
	}
	if err != nil {
		if err := b.c.allowed(ctx, actor, identity.BoxBackup, model.DefaultOrg); err != nil {
			return err
		}
	}
	zip := gzip.NewWriter(w)
	if err := b.c.writeBackup(ctx, tar.NewWriter(zip)); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return zip.Close()
}

func (c *Control) writeBackup(ctx context.Context, t *tar.Writer) error {
	m, err := json.MarshalIndent(manifest{Format: 1, Version: c.cfg.Version, Schema: store.Schema(), CreatedAt: c.now()}, "", "  ")
	if err != nil {
		return err
	}
	if err := c.writeFile(t, manifestFile, m); err != nil {
		return err
	}
	// The store first: a key made meanwhile is then in the key file, and one too many does no harm.
	sum := sha256.New()
	err = c.cfg.Store.Snapshot(ctx, io.MultiWriter(t, sum), func(size int64) error {
		return t.WriteHeader(c.header(storeName, size))
	})
	if err != nil {
		return err
	}
	keys := c.keys.Bytes()
	if err := c.writeFile(t, keyName, keys); err != nil {
		return err
	}
	keySum := sha256.Sum256(keys)
	sums := fmt.Sprintf("%x  %s\n%x  %s\n", sum.Sum(nil), storeName, keySum, keyName)
	if err := c.writeFile(t, sumsFile, []byte(sums)); err != nil {
		return err
	}
	return t.Close()
}

func (c *Control) header(name string, size int64) *tar.Header {
	return &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: c.now(), Typeflag: tar.TypeReg}
}

func (c *Control) writeFile(t *tar.Writer, name string, content []byte) error {
	if err := t.WriteHeader(c.header(name, int64(len(content)))); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

// Restore puts what Backup wrote into a data directory, whose daemon must not be running. The archive is checked whole
// before anything is replaced; what was there before is kept beside it, with the ending ".before-restore". It is done
// again from the start when it was interrupted.
func Restore(ctx context.Context, dataDir string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(KeyFile(dataDir)), 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	tmp, err := os.MkdirTemp(dataDir, ".restore-") // on the same disk
	if err != nil {
		return fmt.Errorf("making a place to unpack the backup: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	keys, err := unpackBackup(ctx, r, filepath.Join(tmp, storeName))
	if err != nil {
		return notABackup(err)
	}
	if err := checkBackup(ctx, filepath.Join(tmp, storeName), keys); err != nil {
		return err
	}
	snapshot, err := os.Open(filepath.Join(tmp, storeName))
	if err != nil {
		return fmt.Errorf("opening the unpacked store: %w", err)
	}
	defer func() { _ = snapshot.Close() }()
	// The store refuses while a daemon runs, so it comes first. Between the two renames the old key stands beside the
	// new store; a daemon started in that moment says so and changes nothing.
	if err := store.Restore(StoreFile(dataDir), snapshot); err != nil {
		return err
	}
	return secrets.Replace(KeyFile(dataDir), keys, store.EndingBefore)
}

// unpackBackup writes the store to file and returns the keys, once every sum was right.
func unpackBackup(ctx context.Context, r io.Reader, file string) (keys []byte, err error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	t := tar.NewReader(zip)
	sums := map[string]string{}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it ends too early")
		} else if err != nil {
			return nil, err
		}
		switch h.Name {
		case manifestFile:
			if err := checkManifest(t); err != nil {
				return nil, err
			}
		case storeName:
			if sums[storeName], err = saveFile(t, file); err != nil {
				return nil, err
			}
		case keyName:
			if keys, err = io.ReadAll(io.LimitReader(t, maxKeyFile)); err != nil {
				return nil, err
			}
			sum := sha256.Sum256(keys)
			sums[keyName] = hex.EncodeToString(sum[:])
		case sumsFile:
			text, err := io.ReadAll(io.LimitReader(t, maxManifest))
			if err != nil {
				return nil, err
			}
			if want := fmt.Sprintf("%s  %s\n%s  %s\n", sums[storeName], storeName, sums[keyName], keyName); string(text) != want {
				return nil, errors.New("its checksums do not fit its content")
			}
			return keys, nil
		default:
			return nil, fmt.Errorf("it holds %q, which no backup has", h.Name)
		}
	}
}

func checkManifest(r io.Reader) error {
	var m manifest
	if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(&m); err != nil {
		return err
	}
	if m.Format != 1 {
		return fmt.Errorf("its format is %d, this program knows 1", m.Format)
	}
	return nil
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
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkBackup refuses a store that is not sound, and keys that are not its own.
func checkBackup(ctx context.Context, file string, keys []byte) error {
	ring, err := secrets.Parse(keys)
	if err != nil {
		return err
	}
	if err := store.Check(file); err != nil {
		return err
	}
	sealed, err := store.KeyCheck(ctx, file)
	if err != nil {
		return err
	}
	return checkKey(ring, sealed)
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
