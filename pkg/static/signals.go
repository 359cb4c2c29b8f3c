package static

import (
	"context"
	"sync"
)

// signals hands one coalescing signal to many listeners.
type signals struct {
	mu        sync.Mutex
	listeners map[chan struct{}]struct{}
}

// listen returns a channel that is closed with ctx.
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
