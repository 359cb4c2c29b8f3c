package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// Storage keeps certificates, keys and ACME accounts. Keys are paths with "/" and no leading slash.
type Storage interface {
	// LoadBlob returns a value and when it was saved, or an error that is fs.ErrNotExist.
	LoadBlob(key string) ([]byte, time.Time, error)
	SaveBlob(key string, value []byte) error
	// DeleteBlob removes key, or everything under key + "/". What is not there is no error.
	DeleteBlob(key string) error
	// ListBlobs returns the keys that begin with prefix.
	ListBlobs(prefix string) ([]string, error)
}

// vault is Storage as certmagic wants it. Its locks hold within this process, which is the only one there is.
type vault struct {
	blobs Storage
	mu    sync.Mutex
	locks map[string]chan struct{} // closed when the lock is given back
}

var _ certmagic.Storage = (*vault)(nil)

func newVault(s Storage) *vault { return &vault{blobs: s, locks: map[string]chan struct{}{}} }

// Store implements certmagic.Storage.
func (v *vault) Store(_ context.Context, key string, value []byte) error {
	return v.blobs.SaveBlob(key, value)
}

// Load implements certmagic.Storage.
func (v *vault) Load(_ context.Context, key string) ([]byte, error) {
	b, _, err := v.blobs.LoadBlob(key)
	return b, err
}

// Delete implements certmagic.Storage.
func (v *vault) Delete(_ context.Context, key string) error { return v.blobs.DeleteBlob(key) }

// Exists implements certmagic.Storage.
func (v *vault) Exists(_ context.Context, key string) bool {
	if _, _, err := v.blobs.LoadBlob(key); err == nil {
		return true
	}
	keys, err := v.under(key)
	return err == nil && len(keys) > 0
}

// List implements certmagic.Storage.
func (v *vault) List(_ context.Context, path string, recursive bool) ([]string, error) {
	keys, err := v.under(path)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("listing %q: %w", path, fs.ErrNotExist)
	}
	if recursive {
		return keys, nil
	}
	var out []string
	seen := map[string]bool{}
	base := dirPrefix(path)
	for _, k := range keys {
		name, _, _ := strings.Cut(k[len(base):], "/")
		if child := base + name; !seen[child] {
			seen[child] = true
			out = append(out, child)
		}
	}
	return out, nil
}

// Stat implements certmagic.Storage.
func (v *vault) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	b, at, err := v.blobs.LoadBlob(key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: at, Size: int64(len(b)), IsTerminal: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	if keys, lerr := v.under(key); lerr == nil && len(keys) > 0 {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return certmagic.KeyInfo{}, err
}

// Lock implements certmagic.Storage.
func (v *vault) Lock(ctx context.Context, name string) error {
	for {
		v.mu.Lock()
		held, ok := v.locks[name]
		if !ok {
			v.locks[name] = make(chan struct{})
			v.mu.Unlock()
			return nil
		}
		v.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock implements certmagic.Storage.
func (v *vault) Unlock(_ context.Context, name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	held, ok := v.locks[name]
	if !ok {
		return fmt.Errorf("unlocking %s: it is not locked", name)
	}
	delete(v.locks, name)
	close(held)
	return nil
}

// under returns the keys below a directory.
func (v *vault) under(dir string) ([]string, error) {
	base := dirPrefix(dir)
	keys, err := v.blobs.ListBlobs(base)
	if err != nil {
		return nil, err
	}
	out := keys[:0:0]
	for _, k := range keys {
		if strings.HasPrefix(k, base) {
			out = append(out, k)
		}
	}
	return out, nil
}

func dirPrefix(dir string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir
	}
	return dir + "/"
}
