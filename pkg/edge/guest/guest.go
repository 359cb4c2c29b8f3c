// Package guest is what pkg/edge and the kinds of guest code (JavaScript, http-wasm, WAGI) agree on.
package guest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Limits that ended a call. An isolate that returned one is thrown away.
var (
	ErrCPU     = errors.New("it used more CPU time than it may")
	ErrTimeout = errors.New("it took longer than it may")
	ErrMemory  = errors.New("it needs more memory than it may have")
)

// Code is the unpacked bundle of a function and what it runs with.
type Code struct {
	Digest    string // "sha256:…" of the bundle: equal digests are equal code
	Main      []byte // one ECMAScript module, or a WASM module
	SourceMap []byte // of Main; nil where there is none
	Env       map[string]string
	Function  model.Function // Limits filled in
}

// Program is code made ready: compiled, started once, its snapshot taken. It may be used from any goroutine.
type Program interface {
	// New returns a fresh isolate in the state of the snapshot.
	New(ctx context.Context) (Isolate, error)
	// Snapshot returns the size in bytes of what a fresh isolate begins with, beyond what all programs share.
	Snapshot() int64
	// Close frees what the program holds. Its isolates are closed before.
	Close(ctx context.Context) error
}

// Isolate runs one call at a time. After any error it is closed and never used again.
type Isolate interface {
	// Serve answers a request. It returns once the answer is complete. rest, if not nil, is what the code still has to do
	// (waitUntil): the isolate is busy until rest has returned.
	Serve(ctx context.Context, c *Call) (rest func(context.Context) error, err error)
	// Scheduled runs the code's scheduled handler, waitUntil included. Code without one is a *model.Error of KindInvalid.
	Scheduled(ctx context.Context, c *Call, e model.ScheduledEvent) error
	// Reset brings the isolate back to the state of the snapshot.
	Reset(ctx context.Context) error
	// Memory returns the bytes of linear memory the isolate has.
	Memory() int64
	// Close frees the isolate.
	Close(ctx context.Context) error
}

// Call is one call and what it may ask of the world. Request, Writer and Next are nil for a scheduled call.
type Call struct {
	Request  *http.Request
	Writer   http.ResponseWriter // supports http.Flusher through http.ResponseController
	Next     http.Handler        // what the request would have met without this function; nil unless middleware
	Deadline time.Time           // of the whole call; ctx ends then too
	CPU      time.Duration       // of guest code
	World    World
}

// World is the outside as a guest may see it. Its methods keep the function's limits.
type World interface {
	// Fetch makes an outbound request under the egress policy. The answer's body is the caller's to close.
	Fetch(ctx context.Context, r *http.Request) (*http.Response, error)
	// KV returns the environment's key-value store.
	KV() KV
	// Log takes one line that the guest printed; stream is "stdout" or "stderr". What is over the limit is dropped.
	Log(stream, text string)
}

// KV is a key-value store of one environment. Keys are 1 to 512 bytes of UTF-8, values up to 1 MiB.
type KV interface {
	// Get returns a value and whether it is there.
	Get(ctx context.Context, key string) (value []byte, found bool, err error)
	// Put writes a value, to be forgotten after ttl where that is not zero (at least one second).
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes a key; none there is no error.
	Delete(ctx context.Context, key string) error
	// List returns keys in order: at most limit (1 to 1000) that begin with prefix and come behind after. more tells
	// whether there are others.
	List(ctx context.Context, prefix, after string, limit int) (keys []KVKey, more bool, err error)
}

// KVKey is one key of a listing.
type KVKey struct {
	Name      string
	ExpiresAt time.Time // zero: never
}
