//go:build linux

// Package jstest runs JavaScript in the real engine for tests.
package jstest

import (
	"context"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// World is a guest.World that keeps what is printed, fetches from anywhere, and has a store in memory.
type World struct {
	mu     sync.Mutex
	lines  []Line
	values map[string]entry
}

// Line is one line that was printed.
type Line struct{ Stream, Text string }

type entry struct {
	value   []byte
	expires time.Time
}

var (
	_ guest.World = (*World)(nil)
	_ guest.KV    = (*World)(nil)
)

// Lines returns what was printed so far.
func (w *World) Lines() []Line {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// Text returns what was printed so far, as one text.
func (w *World) Text() string {
	var b strings.Builder
	for _, l := range w.Lines() {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// Fetch makes the request and follows no redirect.
func (w *World) Fetch(ctx context.Context, r *http.Request) (*http.Response, error) {
	return http.DefaultTransport.RoundTrip(r.WithContext(ctx))
}

// KV returns the world itself.
func (w *World) KV() guest.KV { return w }

// Log keeps a line.
func (w *World) Log(stream, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, Line{Stream: stream, Text: text})
}

// Get returns a value.
func (w *World) Get(_ context.Context, key string) ([]byte, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, ok := w.values[key]
	if ok && !e.expires.IsZero() && time.Now().After(e.expires) {
		return nil, false, nil
	}
	return e.value, ok, nil
}

// Put keeps a value.
func (w *World) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.values == nil {
		w.values = map[string]entry{}
	}
	e := entry{value: value}
	if ttl > 0 {
		e.expires = time.Now().Add(ttl)
	}
	w.values[key] = e
	return nil
}

// Delete forgets a value.
func (w *World) Delete(_ context.Context, key string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.values, key)
	return nil
}

// List returns keys in order.
func (w *World) List(_ context.Context, prefix, after string, limit int) ([]guest.KVKey, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var keys []guest.KVKey
	for k, e := range w.values {
		if strings.HasPrefix(k, prefix) && k > after {
			keys = append(keys, guest.KVKey{Name: k, ExpiresAt: e.expires})
		}
	}
	sort.Slice(keys, func(a, b int) bool { return keys[a].Name < keys[b].Name })
	if len(keys) > limit {
		return keys[:limit], true, nil
	}
	return keys, false, nil
}
