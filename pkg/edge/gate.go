package edge

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// gate lets so many calls of one function in at once; the others wait in the order they came, and more than may wait are
// turned away.
type gate struct {
	limit, most int // calls inside; calls that wait

	mu      sync.Mutex
	inside  int
	waiting []chan struct{} // closed when its owner is in
}

// errFull says that too many calls wait already.
var errFull = errors.New("more requests wait than may")

func newGate(limit int) *gate { return &gate{limit: limit, most: max(64, 8*limit)} }

// enter returns once the call is in. Otherwise the error is errFull or that of ctx.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.inside < g.limit {
		g.inside++
		g.mu.Unlock()
		return nil
	}
	if len(g.waiting) >= g.most {
		g.mu.Unlock()
		return errFull
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	at := slices.Index(g.waiting, turn)
	if at >= 0 {
		g.waiting = slices.Delete(g.waiting, at, at+1)
	}
	g.mu.Unlock()
	if at < 0 {
		g.leave() // it was let in at that very moment
	}
	return ctx.Err()
}

// leave lets the next one in.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.inside--
		return
	}
	close(g.waiting[0])
	g.waiting = slices.Delete(g.waiting, 0, 1)
}

// count returns how many calls are inside and how many wait.
func (g *gate) count() (inside, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside, len(g.waiting)
}
