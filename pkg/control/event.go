package control

import (
	"context"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// NoHistory makes Events.Stream begin with the next event.
const NoHistory = ^uint64(0)

// eventBatch is how many events are read in one transaction.
const eventBatch = 500

// Events tells what happens as it happens.
type Events struct{ c *Control }

// Stream gives every event of the org after seq to yield, oldest first, and goes on until ctx ends (nil) or yield
// fails. after 0 begins with the oldest kept; NoHistory begins with the next. When events behind after were dropped
// already, the first event is of the kind "gap".
func (e *Events) Stream(ctx context.Context, actor model.Actor, org string, after uint64, yield func(model.Event) error) error {
	changed, release := e.c.cfg.Store.Changed()
	defer release()
	var orgID string
	err := e.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := e.c.org(tx, actor, identity.AppRead, org)
		orgID = o.ID
		if last := tx.LastEvent(); after > last { // NoHistory, or a number of another life of the box
			after = last
		}
		return err
	})
	if err != nil {
		return err
	}
	for {
		batch, upTo, err := e.read(ctx, orgID, after)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		for _, ev := range batch {
			if err := yield(ev); err != nil {
				return err
			}
		}
		if upTo > after {
			after = upTo
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// read returns the next events of an org, with a gap before them where some were dropped.
func (e *Events) read(ctx context.Context, orgID string, after uint64) (out []model.Event, upTo uint64, err error) {
	err = e.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		var first uint64
		out, upTo, first, err = tx.Events(after, eventBatch, func(ev *model.Event) bool { return ev.OrgID == orgID })
		if after > 0 && first > after+1 {
			gap := model.Event{Seq: first - 1, At: tx.Now(), Kind: "gap", OrgID: orgID, Detail: "events before this were dropped: read the state afresh"}
			out = append([]model.Event{gap}, out...)
		}
		return err
	})
	return out, upTo, err
}
