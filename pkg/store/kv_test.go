package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

// kvClock is a clock that tests move.
type kvClock struct{ at atomic.Int64 }

func newKVClock() *kvClock {
	c := &kvClock{}
	c.at.Store(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *kvClock) now() time.Time                   { return time.Unix(0, c.at.Load()).UTC() }
func (c *kvClock) pass(d time.Duration)             { c.at.Add(int64(d)) }
func kvPath(t interface{ TempDir() string }) string { return filepath.Join(t.TempDir(), "kv.db") }

func openKV(t *testing.T, path string, o KVOptions) *KV {
	t.Helper()
	kv, err := OpenKV(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kv.Close() })
	return kv
}

func wantKind(t *testing.T, err error, kind model.Kind) {
	t.Helper()
	var told *model.Error
	if !errors.As(err, &told) || told.Kind != kind || told.Hint == "" {
		t.Fatalf("%v, wanted %s with a hint", err, kind)
	}
}

type kvModelEntry struct {
	value   string
	expires time.Time
}

// TestKVIsAMapWithTime does what a map does, with entries that end, whatever is done in whatever order, the file opened
// anew in between.
func TestKVIsAMapWithTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		path, clock, ctx := filepath.Join(dir, "kv.db"), newKVClock(), t.Context()
		o := KVOptions{Now: clock.now, Quota: 400, Sweep: time.Hour}
		kv, err := OpenKV(path, o)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = kv.Close() }()
		want := map[string]map[string]kvModelEntry{"a": {}, "b": {}}
		alive := func(env string) map[string]kvModelEntry {
			for k, e := range want[env] {
				if !e.expires.IsZero() && !e.expires.After(clock.now()) {
					delete(want[env], k)
				}
			}
			return want[env]
		}
		used := func(env string) (n int64) {
			for k, e := range alive(env) {
				n += int64(len(k)+len(e.value)) + kvEntry
			}
			return n
		}
		envs, names := rapid.SampledFrom([]string{"a", "b"}), rapid.StringOfN(rapid.RuneFrom([]rune("xyé/")), 1, 3, -1)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				env, key := envs.Draw(rt, "env"), names.Draw(rt, "key")
				value := strings.Repeat("v", rapid.IntRange(0, 120).Draw(rt, "length"))
				ttl := time.Duration(rapid.SampledFrom([]int{0, 0, 1, 5, 60}).Draw(rt, "ttl")) * time.Second
				before, old := used(env), want[env][key]
				after := before + int64(len(key)+len(value)) + kvEntry
				if _, ok := want[env][key]; ok {
					after -= int64(len(key)+len(old.value)) + kvEntry
				}
				err := kv.Put(ctx, env, key, []byte(value), ttl)
				if after > 400 && after > before {
					if model.KindOf(err) != model.KindTooLarge {
						rt.Fatalf("over the quota: %v", err)
					}
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				e := kvModelEntry{value: value}
				if ttl != 0 {
					e.expires = clock.now().Add(ttl)
				}
				want[env][key] = e
			},
			"delete": func(rt *rapid.T) {
				env, key := envs.Draw(rt, "env"), names.Draw(rt, "key")
				if err := kv.Delete(ctx, env, key); err != nil {
					rt.Fatal(err)
				}
				delete(want[env], key)
			},
			"forget": func(rt *rapid.T) {
				env := envs.Draw(rt, "env")
				if err := kv.Forget(ctx, env); err != nil {
					rt.Fatal(err)
				}
				want[env] = map[string]kvModelEntry{}
			},
			"time": func(rt *rapid.T) {
				clock.pass(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
			},
			"sweep": func(rt *rapid.T) {
				if err := kv.update(func(tx *bbolt.Tx) error { _, err := kvSweep(tx, clock.now()); return err }); err != nil {
					rt.Fatal(err)
				}
				for _, env := range []string{"a", "b"} {
					if have, _, err := kv.Used(ctx, env); err != nil || have != used(env) {
						rt.Fatalf("%s uses %d bytes, wanted %d: %v", env, have, used(env), err)
					}
				}
			},
			"reopen": func(rt *rapid.T) {
				if err := kv.Close(); err != nil {
					rt.Fatal(err)
				}
				if kv, err = OpenKV(path, o); err != nil {
					rt.Fatal(err)
				}
			},
			"list": func(rt *rapid.T) {
				env := envs.Draw(rt, "env")
				prefix := rapid.SampledFrom([]string{"", "x", "xy", "é", "none"}).Draw(rt, "prefix")
				after, limit := rapid.SampledFrom([]string{"", "x", "xz", "zz"}).Draw(rt, "after"), rapid.IntRange(1, 4).Draw(rt, "limit")
				var names []string
				for k := range alive(env) {
					if strings.HasPrefix(k, prefix) && k > after {
						names = append(names, k)
					}
				}
				slices.Sort(names)
				found, more, err := kv.List(ctx, env, prefix, after, limit)
				if err != nil || more != (len(names) > limit) || len(found) != min(limit, len(names)) {
					rt.Fatalf("%v, %v, %v; wanted of %q", found, more, err, names)
				}
				for i, f := range found {
					if f.Name != names[i] || !f.ExpiresAt.Equal(want[env][f.Name].expires) {
						rt.Fatalf("%d is %v, wanted %q %v", i, f, names[i], want[env][names[i]].expires)
					}
				}
			},
			"": func(rt *rapid.T) {
				for env := range want {
					for k, e := range alive(env) {
						value, found, err := kv.Get(ctx, env, k)
						if err != nil || !found || string(value) != e.value {
							rt.Fatalf("%s %q is %q, %v, %v; wanted %q", env, k, value, found, err, e.value)
						}
					}
					if _, found, err := kv.Get(ctx, env, "xyxy"); found || err != nil {
						rt.Fatalf("what was never put is there, %v", err)
					}
				}
			},
		})
	})
}

func TestKVRefuses(t *testing.T) {
	kv, ctx := openKV(t, kvPath(t), KVOptions{}), t.Context()
	for _, key := range []string{"", strings.Repeat("k", MaxKVKey+1), "\xff"} {
		wantKind(t, kv.Put(ctx, "env", key, nil, 0), model.KindInvalid)
		wantKind(t, kv.Delete(ctx, "env", key), model.KindInvalid)
		_, _, err := kv.Get(ctx, "env", key)
		wantKind(t, err, model.KindInvalid)
	}
	wantKind(t, kv.Put(ctx, "env", "k", make([]byte, MaxKVValue+1), 0), model.KindTooLarge)
	wantKind(t, kv.Put(ctx, "env", "k", nil, time.Millisecond), model.KindInvalid)
	wantKind(t, kv.Put(ctx, "env", "k", nil, -time.Second), model.KindInvalid)
	for _, limit := range []int{0, MaxKVList + 1} {
		_, _, err := kv.List(ctx, "env", "", "", limit)
		wantKind(t, err, model.KindInvalid)
	}
	if err := kv.Put(ctx, "env", strings.Repeat("k", MaxKVKey), make([]byte, MaxKVValue), time.Second); err != nil {
		t.Fatal(err)
	}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	wantKind(t, kv.Put(ctx, "env", "k", nil, 0), model.KindUnavailable)
	_, _, err := kv.Get(ctx, "env", "k")
	wantKind(t, err, model.KindUnavailable)
}

// TestKVSweepsByItself waits for the file to lose what nobody has asked for.
func TestKVSweepsByItself(t *testing.T) {
	clock := newKVClock()
	kv, ctx := openKV(t, kvPath(t), KVOptions{Now: clock.now, Sweep: time.Millisecond}), t.Context()
	var wg sync.WaitGroup
	for i := range kvGone + 300 {
		wg.Go(func() {
			if err := kv.Put(ctx, "env", fmt.Sprint(i), []byte("v"), time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := kv.Put(ctx, "env", "stays", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	clock.pass(time.Minute)
	for {
		used, _, err := kv.Used(ctx, "env")
		if err != nil {
			t.Fatal(err)
		}
		if used == int64(len("stays")+len("v"))+kvEntry {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestKVWritesShareTransactions: many writers at once are done in far fewer transactions than there are writes.
func TestKVWritesShareTransactions(t *testing.T) {
	kv, ctx := openKV(t, kvPath(t), KVOptions{}), t.Context()
	before := lastTransaction(t, kv)
	const writers, each = 100, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%d-%d", w, i)
				if err := kv.Put(ctx, "env", key, []byte(key), 0); err != nil {
					t.Error(err)
				}
				if value, found, err := kv.Get(ctx, "env", key); !found || err != nil || string(value) != key {
					t.Errorf("%s is not there after it was put: %v", key, err)
				}
			}
		})
	}
	wg.Wait()
	if n := lastTransaction(t, kv) - before; n > writers*each/2 {
		t.Errorf("%d transactions for %d puts", n, writers*each)
	}
	var names []string
	for after, more := "", true; more; {
		found, left, err := kv.List(ctx, "env", "", after, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, f.Name)
		}
		after, more = names[len(names)-1], left
	}
	if len(names) != writers*each || !slices.IsSorted(names) {
		t.Errorf("%d keys listed", len(names))
	}
}

func lastTransaction(t *testing.T, kv *KV) (id int) {
	t.Helper()
	if err := kv.read(func(tx *bbolt.Tx) error { id = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestKVSnapshotIsWhole(t *testing.T) {
	path := kvPath(t)
	kv, ctx := openKV(t, path, KVOptions{}), t.Context()
	put := func(key string) {
		if err := kv.Put(ctx, "env", key, bytes.Repeat([]byte(key), 1000), 0); err != nil {
			t.Fatal(err)
		}
	}
	put("before")
	var copied bytes.Buffer
	told := int64(0)
	if err := kv.Snapshot(ctx, &copied, func(n int64) error { told = n; put("meanwhile"); return nil }); err != nil {
		t.Fatal(err)
	}
	if told != int64(copied.Len()) {
		t.Errorf("%d bytes told, %d written", told, copied.Len())
	}
	wantKind(t, RestoreKV(path, bytes.NewReader(copied.Bytes())), model.KindConflict)
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, []byte("no"), copied.Bytes()[:copied.Len()/2], bytes.Replace(copied.Bytes(), []byte("schema1"), []byte("schema2"), -1)} {
		if err := RestoreKV(path, bytes.NewReader(bad)); err == nil {
			t.Fatalf("%d bytes were restored", len(bad))
		}
	}
	if err := RestoreKV(path, &copied); err != nil {
		t.Fatal(err)
	}
	kv = openKV(t, path, KVOptions{})
	if value, found, err := kv.Get(ctx, "env", "before"); err != nil || !found || len(value) != 6000 {
		t.Errorf("before: %v %v", found, err)
	}
	if _, found, err := kv.Get(ctx, "env", "meanwhile"); err != nil || found {
		t.Errorf("meanwhile: %v %v", found, err)
	}
}

func TestKVFilesThatCannotBeUsed(t *testing.T) {
	path := kvPath(t)
	kv := openKV(t, path, KVOptions{})
	if err := kv.Put(t.Context(), "env", "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := OpenKV(path, KVOptions{LockTimeout: time.Millisecond})
	wantKind(t, err, model.KindConflict)
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	alter := func(fn func(*bbolt.Tx) error) func() error {
		return func() error {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				return err
			}
			return errors.Join(db.Update(fn), db.Close())
		}
	}
	for name, damage := range map[string]func() error{
		"newer":     alter(func(tx *bbolt.Tx) error { return tx.Bucket(kvMeta).Put(kvVersion, []byte("2")) }),
		"no schema": alter(func(tx *bbolt.Tx) error { return tx.DeleteBucket(kvMeta) }),
		"no values": alter(func(tx *bbolt.Tx) error { return tx.DeleteBucket(kvValues) }),
		"nonsense":  alter(func(tx *bbolt.Tx) error { return tx.Bucket(kvMeta).Put(kvVersion, []byte("x")) }),
		"text":      func() error { return os.WriteFile(path, []byte(strings.Repeat("not a store ", 2000)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{CheckKV(path), func() error { _, err := OpenKV(path, KVOptions{}); return err }()} {
				if name == "newer" {
					wantKind(t, err, model.KindConflict)
				} else {
					wantKind(t, err, model.KindInternal)
				}
			}
		})
	}
}
