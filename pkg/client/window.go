package client

import (
	"context"
	"sync"
)

// window counts the bytes that may still be sent.
type window struct {
	mu     sync.Mutex
	left   int
	opened chan struct{} // one token: left has grown
}

func newWindow(size int) *window { return &window{left: size, opened: make(chan struct{}, 1)} }

// take waits until something may be sent and takes up to most of it.
func (w *window) take(ctx context.Context, most int) (int, error) {
	for {
		w.mu.Lock()
		n := min(most, w.left)
		w.left -= n
		w.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-w.opened:
		}
	}
}

// open lets n more bytes be sent.
func (w *window) open(n int) {
	w.mu.Lock()
	w.left += n
	w.mu.Unlock()
	select {
	case w.opened <- struct{}{}:
	default:
	}
}
