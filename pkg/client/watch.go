package client

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/api"
)

// WatchDeploy gives the deploy to yield at once and at each change, until it is final, which it returns. It survives a
// restart of the daemon. Ending ctx ends the watching, not the deploy.
func (c *Client) WatchDeploy(ctx context.Context, r Ref, id string, yield func(api.Deploy) error) (api.Deploy, error) {
	var last api.Deploy
	done := errors.New("the deploy is final")
	look := func() error {
		d, err := c.Deploy(ctx, r, id)
		if err != nil {
			return err
		}
		last = d
		if err := yield(d); err != nil {
			return err
		}
		if d.State.Final() {
			return done
		}
		return nil
	}
	// Looking once the stream stands, and then at each of its events, misses no change.
	err := c.events(ctx, FromNow, look, func(e api.Event) error {
		if e.DeployID != id && e.Kind != api.EventGap {
			return nil
		}
		return look()
	})
	if errors.Is(err, done) {
		err = nil
	}
	return last, err
}
