package source

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestPlaces(t *testing.T) {
	p := NewPlaces(3, 2)
	take := func(holder string) (func(), error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return p.Take(ctx, holder)
	}
	var leave []func()
	for _, holder := range []string{"a", "a", "b"} {
		done, err := take(holder)
		if err != nil {
			t.Fatalf("%s gets no place: %v", holder, err)
		}
		leave = append(leave, done)
		if holder != "a" || len(leave) < 2 {
			continue
		}
		if _, err := take("a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one has three places: %v", err)
		}
	}
	if _, err := take("c"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("there is a fourth place: %v", err)
	}
	leave[0]()
	done, err := take("c")
	if err != nil {
		t.Fatalf("a place that is free is not to be had: %v", err)
	}
	for _, one := range append(leave[1:], done) {
		one()
	}
	if len(p.of) > 0 || len(p.all) > 0 {
		t.Errorf("%d holders and %d places are left", len(p.of), len(p.all))
	}
}
