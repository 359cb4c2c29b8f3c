package store

import (
	"context"
	"slices"

	"go.etcd.io/bbolt"
)

// Environments returns the ids of the environments that keys were written for, in order.
func (kv *KV) Environments(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []string
	err := kv.read(func(tx *bbolt.Tx) error {
		return tx.Bucket(kvValues).ForEachBucket(func(env []byte) error {
			out = append(out, string(env))
			return nil
		})
	})
	return out, err
}

// Reclaim forgets every environment but those that alive returns. It is asked after the environments with keys have been
// listed: one that is made meanwhile is left alone, whether alive knows it or not.
func (kv *KV) Reclaim(ctx context.Context, alive func(context.Context) ([]string, error)) error {
	have, err := kv.Environments(ctx)
	if err != nil || len(have) == 0 {
		return err
	}
	keep, err := alive(ctx)
	if err != nil {
		return err
	}
	for _, env := range have {
		if slices.Contains(keep, env) {
			continue
		}
		if err := kv.Forget(ctx, env); err != nil {
			return err
		}
	}
	return nil
}
