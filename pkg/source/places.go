package source

import (
	"context"
	"sync"
)

// Places bounds how many do the same at once, and how many of them one holder may be: nobody keeps all others out. Its
// methods may be called from any goroutine.
type Places struct {
	all  chan struct{}
	each int

	mu sync.Mutex
	of map[string]*share // of those who have a place, or wait for one
}

// share is what one holder has.
type share struct {
	places chan struct{}
	users  int
}

// NewPlaces makes all places, of which one holder has each at most.
func NewPlaces(all, each int) *Places {
	return &Places{all: make(chan struct{}, all), each: each, of: map[string]*share{}}
}

// Take waits for a place until ctx ends. Whoever has one calls leave, once.
func (p *Places) Take(ctx context.Context, holder string) (leave func(), err error) {
	s := p.shareOf(holder)
	for i, places := range []chan struct{}{s.places, p.all} { // one's own first: who waits for that is in nobody's way
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-s.places
			}
			p.done(holder, s)
			return nil, ctx.Err()
		}
	}
	return func() {
		<-p.all
		<-s.places
		p.done(holder, s)
	}, nil
}

func (p *Places) shareOf(holder string) *share {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of[holder]
	if s == nil {
		s = &share{places: make(chan struct{}, p.each)}
		p.of[holder] = s
	}
	s.users++
	return s
}

func (p *Places) done(holder string, s *share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(p.of, holder)
	}
}
