package cli

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/edge"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/reconcile"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/store"
)

// worldFunctions are the real engines and the real store of keys, as the daemon has them.
type worldFunctions struct {
	host *edge.Host
	kv   *store.KV

	mu    sync.Mutex
	lines []model.LogLine
}

var _ control.FunctionHost = (*edge.Host)(nil)

func newWorldFunctions(ctx context.Context, dir string) (*worldFunctions, func(), error) {
	kv, err := store.OpenKV(filepath.Join(dir, "kv.db"), store.KVOptions{})
	if err != nil {
		return nil, nil, err
	}
	w := &worldFunctions{kv: kv}
	same := func(b []byte) ([]byte, error) { return b, nil }
	w.host, err = edge.New(ctx, edge.Config{
		DataDir: dir, KV: func(env string) guest.KV { return devKV{KV: kv, env: env} }, Seal: same, Open: same, Logger: zerolog.Nop(),
		Log: w.log,
		Resolve: func(_ context.Context, _, host string) ([]netip.AddrPort, error) {
			return nil, model.NotFound("there is no %s", host)
		},
	})
	if err != nil {
		_ = kv.Close()
		return nil, nil, err
	}
	return w, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = w.host.Close(ending)
		_ = kv.Close()
	}, nil
}

func (w *worldFunctions) log(r model.Replica, stream, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, model.LogLine{At: time.Now().UTC(), Process: r.Process, Index: r.Index, Release: r.Release, Stream: stream, Text: text})
}

// printed returns what functions printed, oldest first.
func (w *worldFunctions) printed() []model.LogLine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]model.LogLine{}, w.lines...)
}

// worldRuntime is a runtime in memory, and functions beside it.
type worldRuntime struct {
	*runtimetest.Fake
	functions *edge.Host
}

var _ reconcile.Runtime = worldRuntime{}

func (r worldRuntime) List(ctx context.Context) ([]model.Container, error) {
	containers, err := r.Fake.List(ctx)
	if err != nil {
		return nil, err
	}
	functions, err := r.functions.List(ctx)
	return append(containers, functions...), err
}

func (r worldRuntime) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	if spec.Function != nil {
		return r.functions.Start(ctx, spec)
	}
	return r.Fake.Start(ctx, spec)
}

func (r worldRuntime) Remove(ctx context.Context, name string, grace time.Duration) error {
	if err := r.functions.Remove(ctx, name, grace); err != nil {
		return err
	}
	return r.Fake.Remove(ctx, name, grace)
}

func (r worldRuntime) Wait(ctx context.Context, name string) (model.Exit, error) {
	if exit, err := r.functions.Wait(ctx, name); model.KindOf(err) != model.KindNotFound {
		return exit, err
	}
	return r.Fake.Wait(ctx, name)
}

func (r worldRuntime) Events(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	containers, functions := r.Fake.Events(ctx), r.functions.Events(ctx)
	go func() {
		defer close(out)
		for containers != nil || functions != nil {
			var ok bool
			select {
			case _, ok = <-containers:
				if !ok {
					containers = nil
				}
			case _, ok = <-functions:
				if !ok {
					functions = nil
				}
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out
}
