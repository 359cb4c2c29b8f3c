package client

import (
	"context"
	"errors"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Bounds of connecting anew.
const (
	minPause = 200 * time.Millisecond // between two attempts
	maxPause = 5 * time.Second
	patience = 2 * time.Minute // without a connection; a box restarts in seconds
)

// persist follows a stream over as many connections as it takes. attempt follows one, calls stands once it has an
// answer, and returns why it ended; the first connection, and an answer that refuses, are not tried again, nor is a box
// that stays away for longer than patience.
func (c *Client) persist(ctx context.Context, attempt func(stands func()) error) error {
	pause, stood := minPause, false
	var lost time.Time // zero while connected
	for {
		err := attempt(func() { pause, stood, lost = minPause, true, time.Time{} })
		var stop *stopped
		if errors.As(err, &stop) {
			return stop.err
		}
		if k := model.KindOf(err); err == nil || !stood || k != model.KindUnavailable && k != model.KindRateLimited {
			return err
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		if time.Since(lost) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return c.failed(ctx, ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// stopped carries an error of the caller's own function, or one that ends a stream for good.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }
