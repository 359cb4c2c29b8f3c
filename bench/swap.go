package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// swapPause is the time between two requests: half of it is in what is measured, and without it the requests would take
// a core from what is measured.
const swapPause = 300 * time.Microsecond

// routeSwap measures from the moment a new replica first answers its health check to the first request it gets, with
// many hosts routed. The replica measures it itself, on one clock; requests come all the time.
func routeSwap(ctx context.Context, s *setup) (_ result, err error) {
	b, err := s.serving(ctx, manyHosts)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return result{}, err
	}
	w := watch(ctx, b.HTTP, host(appHosts/2), swapPause)
	defer w.stop()
	var all []float64
	for range s.times(11) {
		old := w.current()
		if err := b.deploy(ctx, "app", plan(img)); err != nil {
			return result{}, err
		}
		seen, err := w.after(ctx, old.id)
		if err != nil {
			return result{}, err
		}
		all = append(all, float64(seen.swap.Microseconds())/1000)
	}
	return result{value: median(all), detail: fmt.Sprintf("%d deploys: %s ms", len(all), list(all))}, nil
}

func list(all []float64) string {
	var out []string
	for _, v := range all {
		out = append(out, number(v))
	}
	return strings.Join(out, ", ")
}

// sight is a replica as a request met it.
type sight struct {
	id   string
	swap time.Duration // from its first good health check to its first request
	at   time.Time     // when its first answer was here
}

// watcher asks a host who answers, over and over on one connection.
type watcher struct {
	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	last   sight
	fresh  chan struct{} // closed and made anew when last changes
}

// watch begins to watch; pause is the time between two requests.
func watch(ctx context.Context, addr, host string, pause time.Duration) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{cancel: cancel, done: make(chan struct{}), fresh: make(chan struct{})}
	go func() {
		defer close(w.done)
		c := newCaller(addr)
		defer c.CloseIdleConnections()
		for ctx.Err() == nil {
			body, err := fetch(ctx, c, "http://"+host+"/who")
			if err == nil {
				w.saw(body)
			}
			if pause > 0 || err != nil {
				select {
				case <-ctx.Done():
				case <-time.After(max(pause, 100*time.Microsecond)):
				}
			}
		}
	}()
	return w
}

func (w *watcher) saw(body string) {
	id, ns, _ := strings.Cut(body, " ")
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == w.last.id {
		return
	}
	n, _ := strconv.ParseInt(ns, 10, 64)
	w.last = sight{id: id, swap: time.Duration(n), at: time.Now()}
	close(w.fresh)
	w.fresh = make(chan struct{})
}

// current returns the replica seen last.
func (w *watcher) current() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// after returns the first replica seen that is not id.
func (w *watcher) after(ctx context.Context, id string) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		w.mu.Lock()
		last, fresh := w.last, w.fresh
		w.mu.Unlock()
		if last.id != "" && last.id != id {
			return last, nil
		}
		select {
		case <-fresh:
		case <-ctx.Done():
			return sight{}, fmt.Errorf("waiting for a new replica to answer: %w", ctx.Err())
		}
	}
}

func (w *watcher) stop() {
	w.cancel()
	<-w.done
}
