// Package secrets seals values: bytes in, bytes out.
//
// Each value is encrypted with XChaCha20-Poly1305 under a key of its own, made by chance, and that key in turn under the
// master key of the box. A new master key therefore costs rewriting 32 bytes per value, and the values themselves are
// not opened for it. What a value belongs to (a workload and a variable's name, say) is bound to it as associated
// data, so that a sealed value copied to another place does not open there.
//
// The master keys are one file, mode 0600, a line for each version, the last of which seals:
//
//	pandabox master keys; whoever has this file can read every secret of the box
//	1 BASE64 OF 32 BYTES
package secrets

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/pandabox/pandabox/pkg/model"
)

const keyFileHead = "pandabox master keys; whoever has this file can read every secret of the box\n"

// Keyring is the master keys of a box. Its methods may be called from any goroutine.
type Keyring struct {
	path string

	mu   sync.RWMutex
	keys [][]byte // version 1 is keys[0]; the last one seals
}

// Load reads the keys in the file path. KindInternal with a hint when the file is missing or damaged.
func Load(path string) (*Keyring, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		e := model.Errorf(model.KindInternal, "the master key %s cannot be read", path).Wrap(err).WithWhy("%s", err)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, e.WithHint("put the file back from a backup; without it no variable of this box can be read")
		}
		return nil, e.WithHint("run pandabox as root")
	}
	keys, err := parse(raw)
	if err != nil {
		return nil, model.Errorf(model.KindInternal, "the master key %s is damaged", path).Wrap(err).WithWhy("%s", err).
			WithHint("put the file back from a backup; without it no variable of this box can be read")
	}
	return &Keyring{path: path, keys: keys}, nil
}

// Create makes a key and its file. It refuses to replace a file: what was sealed with it could never be read again.
func Create(path string) (*Keyring, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("making the master key: %s is there already", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the master key: %w", err)
	}
	k := &Keyring{path: path}
	if err := k.Rotate(); err != nil {
		return nil, err
	}
	return k, nil
}

// Rotate makes a new master key, writes it down, and seals with it from now on. Older versions still open. Values move
// to the new key by Rewrap.
func (k *Keyring) Rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key) // crypto/rand.Read never fails
	keys := append(append([][]byte{}, k.keys...), key)
	if err := write(k.path, format(keys)); err != nil {
		return fmt.Errorf("writing the master key: %w", err)
	}
	k.keys = keys
	return nil
}

// Version returns the version of the key that seals: 1, 2, 3 …
func (k *Keyring) Version() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.keys)
}

// Bytes returns the key file's content, for a backup.
func (k *Keyring) Bytes() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return format(k.keys)
}

// Parse reads a key file's content, as Bytes returned it; the keyring belongs to no file and cannot Rotate.
func Parse(raw []byte) (*Keyring, error) {
	keys, err := parse(raw)
	if err != nil {
		return nil, model.Errorf(model.KindInternal, "the master key is damaged").Wrap(err).WithWhy("%s", err).
			WithHint("use another backup")
	}
	return &Keyring{keys: keys}, nil
}

func format(keys [][]byte) []byte {
	b := bytes.NewBufferString(keyFileHead)
	for i, key := range keys {
		fmt.Fprintf(b, "%d %s\n", i+1, base64.StdEncoding.EncodeToString(key))
	}
	return b.Bytes()
}

func parse(raw []byte) ([][]byte, error) {
	body, ok := strings.CutPrefix(string(raw), keyFileHead)
	if !ok {
		return nil, errors.New("its first line is not that of a key file")
	}
	var keys [][]byte
	for line := range strings.Lines(body) {
		version, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		key, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(key) != chacha20poly1305.KeySize || version != strconv.Itoa(len(keys)+1) {
			return nil, fmt.Errorf("line %d is not a key", len(keys)+2) // never the line itself
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no key")
	}
	return keys, nil
}

// write replaces the file at path: written beside it, synced, renamed, and the directory synced.
func write(path string, raw []byte) (err error) {
	if path == "" {
		return errors.New("the keys belong to no file")
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".master.*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(raw); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

// Replace puts a key file's content into the file path, once it was checked, and keeps the file that was there with the
// ending. No keyring may be using it.
func Replace(path string, raw []byte, ending string) error {
	if _, err := parse(raw); err != nil {
		return fmt.Errorf("replacing the master key: %w", err)
	}
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("reading the master key that is replaced: %w", err)
	case bytes.Equal(old, raw):
		return nil
	default:
		if err := write(path+ending, old); err != nil {
			return fmt.Errorf("keeping the master key that is replaced: %w", err)
		}
	}
	if err := write(path, raw); err != nil {
		return fmt.Errorf("replacing the master key: %w", err)
	}
	return nil
}
