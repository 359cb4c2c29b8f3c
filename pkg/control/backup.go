package control

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/secrets"
	"github.com/pandabox/pandabox/pkg/store"
)

// Where things are in a data directory, and in a backup.
const (
	storeName  = "pandabox.db"
	keyName    = "keys/master"
	kvName     = "kv.db"
	bundlesDir = "bundles" // bundles/HEX, the hexadecimal part of their digests
	sourcesDir = "sources" // sources/HEX.tar.zst
	sourceExt  = ".tar.zst"
)

// StoreFile returns the path of the store in a data directory.
func StoreFile(dataDir string) string { return filepath.Join(dataDir, storeName) }

// KVFile returns the path of the key-value store in a data directory.
func KVFile(dataDir string) string { return filepath.Join(dataDir, kvName) }

// KeyFile returns the path of the master key in a data directory.
func KeyFile(dataDir string) string { return filepath.Join(dataDir, filepath.FromSlash(keyName)) }

const (
	manifestFile = "backup.json"
	maxManifest  = 1 << 16
	maxKeyFile   = 1 << 20
	maxSums      = 64 << 20
	maxSource    = 1 << 30
)

// manifest is the first file of a backup. The sums are in the last one, since the store's is known only at its end.
type manifest struct {
	Format    int       `json:"format"` // 4; 1 was without functions, 2 without sources, 3 without what was pushed
	Version   string    `json:"version"`
	Schema    int       `json:"schema"`
	CreatedAt time.Time `json:"createdAt"`
}

const (
	formatNow    = 4
	formatPushed = 4 // the first that says all of what was pushed

	sumsFile = "SHA256SUMS"
)

// Backup writes an archive (tar, gzip) of all control state with the keys that open it, the code of functions, the
// source that is built again where what was made of it is missing, what was pushed with git, the key by which SSH
// clients know the box, and the key-value store: whoever has it can read every secret of the box, and pass for it.
// Volumes, images and logs are not in it.
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
	m, err := json.MarshalIndent(manifest{Format: formatNow, Version: c.cfg.Version, Schema: store.Schema(), CreatedAt: c.now()}, "", "  ")
	if err != nil {
		return err
	}
	if err := c.writeFile(t, manifestFile, m); err != nil {
		return err
	}
	var sums strings.Builder
	// Repositories before the store: what is pushed in between is then deployed in the store and not yet in the repository,
	// and git sends it again. The other way round the restored repository would have commits that the store knows nothing
	// of, and git would say that everything is up to date.
	if err := c.writeRepositories(ctx, t, &sums); err != nil {
		return err
	}
	// The store before the rest: a key made meanwhile is then in the key file, and one too many does no harm; nor does a bundle.
	if err := c.writeSnapshot(ctx, t, &sums, storeName, c.cfg.Store.Snapshot); err != nil {
		return err
	}
	keys := c.keys.Bytes()
	if err := c.writeFile(t, keyName, keys); err != nil {
		return err
	}
	addSum(&sums, keyName, sha256.Sum256(keys))
	if err := c.writeHostKey(t, &sums); err != nil {
		return err
	}
	if c.cfg.KV != nil {
		if err := c.writeSnapshot(ctx, t, &sums, kvName, c.cfg.KV.Snapshot); err != nil {
			return err
		}
	}
	if err := c.writeBundles(ctx, t, &sums); err != nil {
		return err
	}
	if err := c.writeSources(ctx, t, &sums); err != nil {
		return err
	}
	if err := c.writeFile(t, sumsFile, []byte(sums.String())); err != nil {
		return err
	}
	return t.Close()
}

// writeSnapshot writes a file that goes on being used.
func (c *Control) writeSnapshot(ctx context.Context, t *tar.Writer, sums *strings.Builder, name string, snapshot func(context.Context, io.Writer, func(int64) error) error) error {
	sum := sha256.New()
	err := snapshot(ctx, io.MultiWriter(t, sum), func(size int64) error { return t.WriteHeader(c.header(name, size)) })
	if err == nil {
		addSum(sums, name, [sha256.Size]byte(sum.Sum(nil)))
	}
	return err
}

// writeBundles writes every bundle there is. One that is reclaimed meanwhile is of no release any more.
func (c *Control) writeBundles(ctx context.Context, t *tar.Writer, sums *strings.Builder) error {
	entries, err := os.ReadDir(filepath.Join(c.cfg.DataDir, bundlesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(bundlesDir, e.Name())
		if !isBundle(name) {
			continue // half uploaded
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		content, err := os.ReadFile(filepath.Join(c.cfg.DataDir, filepath.FromSlash(name))) // at most model.MaxFunctionBundle
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := c.writeFile(t, name, content); err != nil {
			return err
		}
		addSum(sums, name, sha256.Sum256(content))
	}
	return nil
}

// writeSources writes the source of what is wanted and good.
func (c *Control) writeSources(ctx context.Context, t *tar.Writer, sums *strings.Builder) error {
	keep, err := c.cfg.Store.Keep(ctx)
	if err != nil {
		return err
	}
	for _, digest := range keep.Sources {
		name := path.Join(sourcesDir, strings.TrimPrefix(digest, "sha256:")+sourceExt)
		if !isSource(name) {
			continue
		}
		if err := c.writeSource(ctx, t, sums, name); err != nil && !errors.Is(err, fs.ErrNotExist) { // reclaimed meanwhile
			return err
		}
	}
	return nil
}

func (c *Control) writeSource(ctx context.Context, t *tar.Writer, sums *strings.Builder, name string) error {
	f, err := os.Open(filepath.Join(c.cfg.DataDir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return c.writeSnapshot(ctx, t, sums, name, func(ctx context.Context, w io.Writer, size func(int64) error) error {
		info, err := f.Stat()
		if err == nil {
			err = errors.Join(ctx.Err(), size(info.Size()))
		}
		if err == nil {
			_, err = io.Copy(w, f)
		}
		return err
	})
}

// isSource tells whether a file of a backup is an archive of source.
func isSource(name string) bool {
	hex, ok := strings.CutPrefix(name, sourcesDir+"/")
	hex, is := strings.CutSuffix(hex, sourceExt)
	return ok && is && len(hex) == 2*sha256.Size && strings.Trim(hex, "0123456789abcdef") == ""
}

// isBundle tells whether a file of a backup is a bundle.
func isBundle(name string) bool {
	hex, ok := strings.CutPrefix(name, bundlesDir+"/")
	return ok && len(hex) == 2*sha256.Size && strings.Trim(hex, "0123456789abcdef") == ""
}

func addSum(sums *strings.Builder, name string, sum [sha256.Size]byte) {
	_, _ = fmt.Fprintf(sums, "%x  %s\n", sum, name)
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
	u := unpacked{dir: tmp}
	if err := u.read(ctx, r); err != nil {
		return notABackup(err)
	}
	if err := u.check(ctx); err != nil {
		return err
	}
	snapshot, err := os.Open(filepath.Join(tmp, storeName))
	if err != nil {
		return fmt.Errorf("opening the unpacked store: %w", err)
	}
	defer func() { _ = snapshot.Close() }()
	// The store refuses while a daemon runs, so it comes first. Until all of it is in place the old key stands beside the
	// new store; a daemon started in that moment says so and changes nothing.
	if err := store.Restore(StoreFile(dataDir), snapshot); err != nil {
		return err
	}
	if err := u.place(dataDir); err != nil {
		return err
	}
	return secrets.Replace(KeyFile(dataDir), u.keys, store.EndingBefore)
}
