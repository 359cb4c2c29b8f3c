package proxy

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// overlay is Storage that keeps in memory what could not be saved. It is for what can be made again at any time: a
// disk that is full must not take HTTPS away from hosts that are served by the box's own CA.
type overlay struct {
	Storage
	log zerolog.Logger

	mu   sync.Mutex
	kept map[string]keptBlob
}

type keptBlob struct {
	value []byte
	at    time.Time
}

var _ Storage = (*overlay)(nil)

func newOverlay(s Storage, log zerolog.Logger) *overlay {
	return &overlay{Storage: s, log: log, kept: map[string]keptBlob{}}
}

// LoadBlob implements Storage.
func (o *overlay) LoadBlob(key string) ([]byte, time.Time, error) {
	o.mu.Lock()
	b, ok := o.kept[key]
	o.mu.Unlock()
	if ok {
		return slices.Clone(b.value), b.at, nil
	}
	return o.Storage.LoadBlob(key)
}

// SaveBlob implements Storage. It does not fail.
func (o *overlay) SaveBlob(key string, value []byte) error {
	err := o.Storage.SaveBlob(key, value)
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.kept, key)
	if err != nil {
		o.log.Warn().Err(err).Str("key", key).Msg("a certificate is kept in memory only")
		o.kept[key] = keptBlob{slices.Clone(value), time.Now()}
	}
	return nil
}

// DeleteBlob implements Storage.
func (o *overlay) DeleteBlob(key string) error {
	o.mu.Lock()
	for k := range o.kept {
		if k == key || strings.HasPrefix(k, key+"/") {
			delete(o.kept, k)
		}
	}
	o.mu.Unlock()
	return o.Storage.DeleteBlob(key)
}

// ListBlobs implements Storage.
func (o *overlay) ListBlobs(prefix string) ([]string, error) {
	keys, err := o.Storage.ListBlobs(prefix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range o.kept {
		if strings.HasPrefix(k, prefix) && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}
