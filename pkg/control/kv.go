package control

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// MaxKVValue is the greatest length of a value in bytes.
const MaxKVValue = store.MaxKVValue

// KV is the key-value store of each environment: env.KV in functions. A ref names the environment by an app in it; all
// apps of the environment share the store.
type KV struct{ c *Control }

// KVKey is one key of a listing.
type KVKey struct {
	Name      string    `json:"name"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // zero: never
}

// Get returns a value. KindNotFound when there is none.
func (k *KV) Get(ctx context.Context, actor model.Actor, ref Ref, key string) ([]byte, error) {
	env, err := k.env(ctx, actor, identity.KVRead, ref, key)
	if err != nil {
		return nil, err
	}
	value, found, err := k.c.cfg.KV.Get(ctx, env, key)
	if err == nil && !found {
		err = model.NotFound("there is no key %q", key).WithHint("see which there are: pandabox kv list -a %s -e %s", ref.App, ref.env())
	}
	return value, err
}

// Put writes a value of at most MaxKVValue bytes, to be forgotten after ttl where that is not zero.
func (k *KV) Put(ctx context.Context, actor model.Actor, ref Ref, key string, value []byte, ttl time.Duration) error {
	env, err := k.env(ctx, actor, identity.KVWrite, ref, key)
	switch {
	case err != nil:
		return err
	case len(value) > MaxKVValue:
		return model.Errorf(model.KindTooLarge, "the value of %q is %d bytes long", key, len(value)).WithHint("at most %d bytes fit", MaxKVValue)
	case ttl < 0 || (ttl > 0 && ttl < time.Second):
		return model.Invalid("a key cannot be kept for %s", ttl).WithHint("choose a second or more, or leave it out to keep it for good")
	}
	return k.c.cfg.KV.Put(ctx, env, key, value, ttl)
}

// Delete removes a key. None there is no error.
func (k *KV) Delete(ctx context.Context, actor model.Actor, ref Ref, key string) error {
	env, err := k.env(ctx, actor, identity.KVWrite, ref, key)
	if err != nil {
		return err
	}
	return k.c.cfg.KV.Delete(ctx, env, key)
}

// List returns the keys that begin with prefix, in order.
func (k *KV) List(ctx context.Context, actor model.Actor, ref Ref, prefix string, p Page) (out List[KVKey], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	env, err := k.place(ctx, actor, identity.KVRead, ref)
	if err != nil {
		return out, err
	}
	keys, more, err := k.c.cfg.KV.List(ctx, env, prefix, cur.after, cur.limit)
	if err != nil {
		return out, err
	}
	views := make([]KVKey, len(keys))
	for i, one := range keys {
		views[i] = KVKey(one)
	}
	next := ""
	if more && len(keys) > 0 {
		next = keys[len(keys)-1].Name
	}
	return page(views, next), nil
}

// env returns the id of the environment ref names, once the key is one that can be.
func (k *KV) env(ctx context.Context, actor model.Actor, p identity.Permission, ref Ref, key string) (string, error) {
	env, err := k.place(ctx, actor, p, ref)
	switch {
	case err != nil:
		return "", err
	case key == "" || len(key) > store.MaxKVKey || !utf8.ValidString(key):
		return "", model.Invalid("%q is not a key", key).WithHint("a key is 1 to %d bytes of text", store.MaxKVKey)
	}
	return env, nil
}

func (k *KV) place(ctx context.Context, actor model.Actor, p identity.Permission, ref Ref) (string, error) {
	var env string
	err := k.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := k.c.find(tx, actor, p, ref)
		env = pl.env.ID
		return err
	})
	if err == nil && k.c.cfg.KV == nil {
		err = missing("key-value store")
	}
	return env, err
}
