package daemon

import (
	"context"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/store"
)

// envKV is the key-value store of one environment, as functions see it.
type envKV struct {
	kv  *store.KV
	env string
}

var _ guest.KV = envKV{}

// Get implements guest.KV.
func (e envKV) Get(ctx context.Context, key string) ([]byte, bool, error) {
	return e.kv.Get(ctx, e.env, key)
}

// Put implements guest.KV.
func (e envKV) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return e.kv.Put(ctx, e.env, key, value, ttl)
}

// Delete implements guest.KV.
func (e envKV) Delete(ctx context.Context, key string) error { return e.kv.Delete(ctx, e.env, key) }

// List implements guest.KV.
func (e envKV) List(ctx context.Context, prefix, after string, limit int) ([]guest.KVKey, bool, error) {
	found, more, err := e.kv.List(ctx, e.env, prefix, after, limit)
	out := make([]guest.KVKey, len(found))
	for i, k := range found {
		out[i] = guest.KVKey(k)
	}
	return out, more, err
}
