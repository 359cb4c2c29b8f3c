package daemon

import (
	"context"
	"time"
)

// reapEvery is the longest time between two looks at previews that nobody pushes to.
const reapEvery = time.Hour

// reapPreviews removes previews when their time is over, until ctx ends.
func (p *parts) reapPreviews(ctx context.Context) {
	for {
		next, err := p.control.Previews.Reap(ctx)
		if err != nil && ctx.Err() == nil {
			log := p.named("previews") // tried again in time
			log.Warn().Err(err).Msg("removing previews")
		}
		wait := reapEvery
		if left := time.Until(next); !next.IsZero() && left < wait {
			wait = max(left, time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
