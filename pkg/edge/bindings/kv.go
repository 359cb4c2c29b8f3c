//go:build linux

package bindings

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// maxList is how many keys one listing has at most.
const maxList = 1000

// moreKeys is set in the result of list where there are further keys.
const moreKeys = 1 << 62

func kvFuncs() []vm.HostFunc {
	put := fn("put", 5, vm.I32, kvPut)
	put.Params[4] = vm.I64
	return []vm.HostFunc{
		fn("get", 4, vm.I64, kvGet),
		put,
		fn("delete", 2, vm.I32, kvDelete),
		fn("list", 7, vm.I64, kvList),
	}
}

// kvGet: key, key_len, buf, buf_limit → length of the value.
func kvGet(i *vm.Instance, s *State, stack []uint64) {
	key := string(Read(i, stack[0], stack[1]))
	var value []byte
	var found bool
	var err error
	s.wait(i, func(ctx context.Context) { value, found, err = s.world.KV().Get(ctx, key) })
	switch {
	case err != nil:
		stack[0] = uint64(s.code(err))
	case !found:
		s.fault = "there is no such key"
		result := int64(NotFound)
		stack[0] = uint64(result)
	default:
		stack[0] = uint64(Write(i, stack[2], stack[3], value))
	}
}

// kvPut: key, key_len, value, value_len, ttl (i64, seconds; 0: for ever) → 0.
func kvPut(i *vm.Instance, s *State, stack []uint64) {
	key := string(Read(i, stack[0], stack[1]))
	value := append([]byte(nil), Read(i, stack[2], stack[3])...)
	ttl := int64(stack[4])
	if ttl < 0 || ttl > int64((1<<62)/time.Second) {
		stack[0] = i32(s.invalid("the time to live is out of bounds"))
		return
	}
	var err error
	s.wait(i, func(ctx context.Context) { err = s.world.KV().Put(ctx, key, value, time.Duration(ttl)*time.Second) })
	stack[0] = i32(s.done(err))
}

// kvDelete: key, key_len → 0.
func kvDelete(i *vm.Instance, s *State, stack []uint64) {
	key := string(Read(i, stack[0], stack[1]))
	var err error
	s.wait(i, func(ctx context.Context) { err = s.world.KV().Delete(ctx, key) })
	stack[0] = i32(s.done(err))
}

// kvList: prefix, prefix_len, after, after_len, limit, buf, buf_limit → more<<62 | count<<32 | length. Keys may hold any
// character, so that each is written with its length in front.
func kvList(i *vm.Instance, s *State, stack []uint64) {
	prefix, after := string(Read(i, stack[0], stack[1])), string(Read(i, stack[2], stack[3]))
	limit := int(uint32(stack[4]))
	if limit == 0 || limit > maxList {
		limit = maxList
	}
	var keys []guest.KVKey
	var more bool
	var err error
	s.wait(i, func(ctx context.Context) { keys, more, err = s.world.KV().List(ctx, prefix, after, limit) })
	if err != nil {
		stack[0] = uint64(s.code(err))
		return
	}
	var b []byte
	for _, k := range keys {
		expires := uint32(0)
		if !k.ExpiresAt.IsZero() {
			expires = uint32(k.ExpiresAt.Unix())
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(k.Name)))
		b = binary.LittleEndian.AppendUint32(b, expires)
		b = append(b, k.Name...)
	}
	result := uint64(len(keys))<<32 | uint64(Write(i, stack[5], stack[6], b))
	if more {
		result |= moreKeys
	}
	stack[0] = result
}

func (s *State) done(err error) int64 {
	if err != nil {
		return s.code(err)
	}
	return 0
}
