package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"
)

// resubscribe is the pause after the stream of events broke: containerd is being restarted.
const resubscribe = 50 * time.Millisecond

// Events tells "look again": a container ended or ran out of memory, or containerd came back. Several occasions may
// come as one. The channel is closed when ctx ends.
func (r *Runtime) Events(ctx context.Context) <-chan struct{} { return r.changes.listen(ctx) }

// watch passes containerd's events on until ctx ends.
func (r *Runtime) watch(ctx context.Context) {
	ctx = namespaces.WithNamespace(ctx, namespace)
	for ctx.Err() == nil {
		if err := r.engine.ready(ctx); err == nil {
			r.follow(ctx)
			r.changes.send() // something may have been missed
		}
		_ = pauseFor(ctx, resubscribe)
	}
}

// follow passes events on until the stream ends.
func (r *Runtime) follow(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, errs := r.client.Subscribe(ctx, `namespace==`+namespace+`,topic=="/tasks/exit"`, `namespace==`+namespace+`,topic=="/tasks/oom"`)
	for {
		select {
		case env := <-stream:
			if env == nil {
				return
			}
			v, err := typeurl.UnmarshalAny(env.Event)
			if err != nil {
				r.log.Warn().Err(err).Str("topic", env.Topic).Msg("reading an event")
				continue
			}
			if exit, ok := v.(*events.TaskExit); ok && exit.ID != exit.ContainerID {
				continue // the end of an exec
			}
			r.changes.send()
		case err := <-errs:
			if ctx.Err() == nil {
				r.log.Debug().Err(err).Msg("the stream of events broke")
			}
			return
		}
	}
}

// signals hands one coalescing signal to many listeners.
type signals struct {
	mu        sync.Mutex
	listeners map[chan struct{}]struct{}
}

func (s *signals) listen(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	if s.listeners == nil {
		s.listeners = map[chan struct{}]struct{}{}
	}
	s.listeners[ch] = struct{}{}
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, ch)
		close(ch)
	})
	return ch
}

func (s *signals) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ch := range s.listeners {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
