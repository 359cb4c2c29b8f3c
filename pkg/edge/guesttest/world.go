// Package guesttest runs guest code in tests as pkg/edge does, without a daemon.
package guesttest

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// World is an outside in memory. Its zero value is ready; Client makes the outbound requests, nil forbids them.
type World struct {
	Client *http.Client

	mu    sync.Mutex
	lines []string
	keys  map[string][]byte
	ends  map[string]time.Time
}

var (
	_ guest.World = (*World)(nil)
	_ guest.KV    = (*World)(nil)
)

// Fetch makes an outbound request.
func (w *World) Fetch(ctx context.Context, r *http.Request) (*http.Response, error) {
	if w.Client == nil {
		return nil, model.Errorf(model.KindForbidden, "requests to %s are not allowed", r.URL.Host)
	}
	return w.Client.Do(r.WithContext(ctx))
}

// KV returns w itself.
func (w *World) KV() guest.KV { return w }

// Log keeps a line as "stream: text".
func (w *World) Log(stream, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, stream+": "+text)
}

// Lines returns what was logged so far.
func (w *World) Lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// Get returns a value.
func (w *World) Get(_ context.Context, key string) ([]byte, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.keys[key]
	return v, ok, nil
}

// Put writes a value.
func (w *World) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	if key == "" || len(key) > 512 {
		return model.Invalid("a key has 1 to 512 bytes")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys == nil {
		w.keys, w.ends = map[string][]byte{}, map[string]time.Time{}
	}
	w.keys[key] = value
	delete(w.ends, key)
	if ttl > 0 {
		w.ends[key] = time.Now().Add(ttl)
	}
	return nil
}

// Delete removes a key.
func (w *World) Delete(_ context.Context, key string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.keys, key)
	return nil
}

// List returns keys in order.
func (w *World) List(_ context.Context, prefix, after string, limit int) ([]guest.KVKey, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []guest.KVKey
	for _, k := range slices.Sorted(maps.Keys(w.keys)) {
		if !strings.HasPrefix(k, prefix) || k <= after {
			continue
		}
		if len(found) == limit {
			return found, true, nil
		}
		found = append(found, guest.KVKey{Name: k, ExpiresAt: w.ends[k]})
	}
	return found, false, nil
}
