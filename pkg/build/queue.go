package build

import (
	"context"
	"sync"
)

// queue lets a bounded number of builds run, and orgs in turn: one that asks for many waits behind its own.
type queue struct {
	mu      sync.Mutex
	free    int
	waiting map[string][]*turn // by org, oldest first
	orgs    []string           // those that wait; the next is first
}

type turn struct{ ready chan struct{} }

func newQueue(places int) *queue { return &queue{free: places, waiting: map[string][]*turn{}} }

// enter waits for a place, and returns what gives it back. ahead is called with the number of builds before this one
// when there are any.
func (q *queue) enter(ctx context.Context, org string, ahead func(int)) (leave func(), err error) {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return sync.OnceFunc(q.leave), nil
	}
	t := &turn{ready: make(chan struct{})}
	if len(q.waiting[org]) == 0 {
		q.orgs = append(q.orgs, org)
	}
	q.waiting[org] = append(q.waiting[org], t)
	before := 0
	for _, w := range q.waiting {
		before += len(w)
	}
	q.mu.Unlock()
	if ahead != nil {
		ahead(before)
	}
	select {
	case <-t.ready:
		return sync.OnceFunc(q.leave), nil
	case <-ctx.Done():
		q.forget(org, t)
		return nil, context.Cause(ctx)
	}
}

// leave gives a place to the next org.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.orgs) == 0 {
		q.free++
		return
	}
	org := q.orgs[0]
	q.orgs = q.orgs[1:]
	t := q.waiting[org][0]
	if q.waiting[org] = q.waiting[org][1:]; len(q.waiting[org]) > 0 {
		q.orgs = append(q.orgs, org)
	} else {
		delete(q.waiting, org)
	}
	close(t.ready)
}

// forget takes a build out that no longer waits. Where it has been given its place meanwhile, the next gets it.
func (q *queue) forget(org string, t *turn) {
	q.mu.Lock()
	for i, w := range q.waiting[org] {
		if w != t {
			continue
		}
		q.waiting[org] = append(q.waiting[org][:i:i], q.waiting[org][i+1:]...)
		if len(q.waiting[org]) == 0 {
			delete(q.waiting, org)
			for k, o := range q.orgs {
				if o == org {
					q.orgs = append(q.orgs[:k:k], q.orgs[k+1:]...)
					break
				}
			}
		}
		q.mu.Unlock()
		return
	}
	q.mu.Unlock()
	q.leave()
}
