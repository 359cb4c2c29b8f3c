package edge

import (
	"context"
	"sync"
)

// turns bounds how many calls compute for long at the same time, so that serving always has a processor. Short calls
// never meet it. Who waits is let in first come, first served.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{}
}

func newTurns(n int) *turns { return &turns{free: n} }

// Take waits for a turn; false when ctx ended first.
func (t *turns) Take(ctx context.Context) bool {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	}
	t.mu.Lock()
	for i, w := range t.waiting {
		if w == mine {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			t.mu.Unlock()
			return false
		}
	}
	t.mu.Unlock()
	t.Give() // it was given at that very moment
	return false
}

// Give ends a turn.
func (t *turns) Give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}

// Wanted tells whether somebody waits for a turn.
func (t *turns) Wanted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting) > 0
}
