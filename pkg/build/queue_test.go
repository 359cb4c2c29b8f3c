package build

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestQueueServesOrgsInTurn has one org ask for many builds before others ask for one each.
func TestQueueServesOrgsInTurn(t *testing.T) {
	q := newQueue(1)
	leave, err := q.enter(t.Context(), "first", nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var done sync.WaitGroup
	for _, org := range []string{"greedy", "greedy", "greedy", "greedy", "a", "b"} {
		waiting := make(chan struct{})
		done.Go(func() {
			leave, err := q.enter(t.Context(), org, func(int) { close(waiting) })
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, org)
			mu.Unlock()
			leave()
		})
		<-waiting
	}
	leave()
	done.Wait()
	if want := []string{"greedy", "a", "b", "greedy", "greedy", "greedy"}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
}

// TestQueueForgetsWhoLeaves gives up builds that wait, in any order, while others go on.
func TestQueueForgetsWhoLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(1, 3).Draw(t, "places")
		q := newQueue(places)
		type waiter struct {
			cancel context.CancelFunc
			got    chan error
			leave  func()
		}
		var waiting []*waiter
		for range rapid.IntRange(1, 12).Draw(t, "builds") {
			ctx, cancel := context.WithCancel(context.Background())
			w := &waiter{cancel: cancel, got: make(chan error, 1)}
			org := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "org")
			queued := make(chan struct{})
			go func() {
				var err error
				w.leave, err = q.enter(ctx, org, func(int) { close(queued) })
				w.got <- err
			}()
			select {
			case <-queued:
				waiting = append(waiting, w)
			case err := <-w.got:
				if err != nil {
					t.Fatal(err)
				}
				w.got <- nil
				waiting = append(waiting, w)
			}
		}
		for len(waiting) > 0 {
			i := rapid.IntRange(0, len(waiting)-1).Draw(t, "which")
			w := waiting[i]
			waiting = slices.Delete(waiting, i, i+1)
			w.cancel()
			if err := <-w.got; err == nil {
				w.leave()
			} else if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if q.free != places || len(q.orgs) != 0 || len(q.waiting) != 0 {
			t.Fatalf("left are %d of %d places, orgs %v, %v", q.free, places, q.orgs, q.waiting)
		}
	})
}
