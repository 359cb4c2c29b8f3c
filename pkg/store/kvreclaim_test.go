package store

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
)

func TestKeysOfAnEnvironmentGoWithIt(t *testing.T) {
	kv, err := OpenKV(filepath.Join(t.TempDir(), "kv.db"), KVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kv.Close() }()
	put := func(env string) {
		if err := kv.Put(t.Context(), env, "key", []byte("value"), 0); err != nil {
			t.Fatal(err)
		}
	}
	put("env-1")
	put("env-2")
	err = kv.Reclaim(t.Context(), func(context.Context) ([]string, error) {
		put("env-3") // made while it runs, and not yet known
		return []string{"env-1"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := kv.Environments(t.Context()); err != nil || !slices.Equal(left, []string{"env-1", "env-3"}) {
		t.Errorf("left: %q, %v", left, err)
	}
}
