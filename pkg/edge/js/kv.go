//go:build linux

package js

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

func kvFuncs() []hostFunc {
	return []hostFunc{
		{name: "kvGet", call: (*isolate).kvGet},
		{name: "kvPut", call: (*isolate).kvPut},
		{name: "kvDelete", call: (*isolate).kvDelete},
		{name: "kvList", call: (*isolate).kvList},
	}
}

// kvGet is host.kvGet(key, text): a promise of the value, null where there is none.
func (i *isolate) kvGet(a args) (qjs.Value, error) {
	key, err := i.text(a.at(0))
	if err != nil {
		return 0, err
	}
	kv, text := i.call.World.KV(), a.at(1) == qjs.True
	return i.later(func(ctx context.Context) (bridge.Value, error) {
		v, found, err := kv.Get(ctx, key)
		switch {
		case err != nil:
			return bridge.Value{}, fmt.Errorf("KV.get: %w", err)
		case !found:
			return bridge.Null(), nil
		case text:
			return bridge.String(string(v)), nil
		}
		return bridge.Bytes(v), nil
	})
}

// kvPut is host.kvPut(key, value, ttl, expiration), the last two in seconds, 0 for none.
func (i *isolate) kvPut(a args) (qjs.Value, error) {
	key, err := i.text(a.at(0))
	if err != nil {
		return 0, err
	}
	var value []byte
	if v := a.at(1); v.IsString() {
		s, err := i.text(v)
		if err != nil {
			return 0, err
		}
		value = []byte(s)
	} else {
		view, ok, err := i.js.View(v)
		if err != nil {
			return 0, err
		}
		if !ok {
			return i.throw("TypeError", "KV.put: the value has no bytes")
		}
		value = append([]byte{}, view...)
	}
	ttl, problem := lifetime(a.at(2).Number(), a.at(3).Number(), time.Now())
	if problem != "" {
		return i.throw("RangeError", problem)
	}
	kv := i.call.World.KV()
	return i.later(func(ctx context.Context) (bridge.Value, error) {
		if err := kv.Put(ctx, key, value, ttl); err != nil {
			return bridge.Value{}, fmt.Errorf("KV.put: %w", err)
		}
		return bridge.Undefined(), nil
	})
}

// lifetime returns how long a value is kept; 0: for good.
func lifetime(ttl, expiration float64, now time.Time) (time.Duration, string) {
	const most = 100 * 365 * 24 * 3600
	if expiration != 0 {
		ttl = expiration - float64(now.UnixMilli())/1000
		if ttl < 1 {
			return 0, "KV.put: expiration is seconds since 1970, at least one second from now"
		}
	}
	switch {
	case ttl == 0:
		return 0, ""
	case math.IsNaN(ttl) || ttl < 1 || ttl > most:
		return 0, "KV.put: expirationTtl is at least one second"
	}
	return time.Duration(ttl * float64(time.Second)), ""
}

// kvDelete is host.kvDelete(key).
func (i *isolate) kvDelete(a args) (qjs.Value, error) {
	key, err := i.text(a.at(0))
	if err != nil {
		return 0, err
	}
	kv := i.call.World.KV()
	return i.later(func(ctx context.Context) (bridge.Value, error) {
		if err := kv.Delete(ctx, key); err != nil {
			return bridge.Value{}, fmt.Errorf("KV.delete: %w", err)
		}
		return bridge.Undefined(), nil
	})
}

// kvList is host.kvList(prefix, cursor, limit): a promise of [names, expiries, cursor].
func (i *isolate) kvList(a args) (qjs.Value, error) {
	prefix, err := i.text(a.at(0))
	if err != nil {
		return 0, err
	}
	cursor, err := i.text(a.at(1))
	if err != nil {
		return 0, err
	}
	limit := a.at(2).Int()
	if limit < 1 || limit > 1000 {
		return i.throw("RangeError", "KV.list: limit is 1 to 1000")
	}
	kv := i.call.World.KV()
	return i.later(func(ctx context.Context) (bridge.Value, error) {
		keys, more, err := kv.List(ctx, prefix, cursor, limit)
		if err != nil {
			return bridge.Value{}, fmt.Errorf("KV.list: %w", err)
		}
		var names, expiries []bridge.Value
		for _, k := range keys {
			names = append(names, bridge.String(k.Name))
			at := 0.0
			if !k.ExpiresAt.IsZero() {
				at = float64(k.ExpiresAt.Unix())
			}
			expiries = append(expiries, bridge.Number(at))
		}
		next := ""
		if more && len(keys) > 0 {
			next = keys[len(keys)-1].Name
		}
		return bridge.List(bridge.List(names...), bridge.List(expiries...), bridge.String(next)), nil
	})
}
