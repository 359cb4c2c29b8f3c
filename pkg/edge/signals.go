package edge

import (
	"context"
	"sync"
)

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

// locks are held by name.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// take waits until nobody holds name. The error is that of ctx.
func (l *locks) take(ctx context.Context, name string) (release func(), err error) {
	for {
		l.mu.Lock()
		if l.held == nil {
			l.held = map[string]chan struct{}{}
		}
		other, taken := l.held[name]
		if !taken {
			mine := make(chan struct{})
			l.held[name] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, name)
				l.mu.Unlock()
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
