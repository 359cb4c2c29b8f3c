package store

import "sync"

// signal tells any number of subscribers that something changed. A subscriber that has not looked yet is told once.
type signal struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

// Changed returns a channel that receives after each commit that changed intent, status or events, many commits in one
// where the subscriber is slower, and the function that ends the subscription.
func (s *Store) Changed() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	s.signal.mu.Lock()
	defer s.signal.mu.Unlock()
	if s.signal.subs == nil {
		s.signal.subs = map[chan struct{}]struct{}{}
	}
	s.signal.subs[ch] = struct{}{}
	return ch, func() {
		s.signal.mu.Lock()
		defer s.signal.mu.Unlock()
		delete(s.signal.subs, ch)
	}
}

func (g *signal) fire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for ch := range g.subs {
		select {
		case ch <- struct{}{}:
		default: // told already
		}
	}
}
