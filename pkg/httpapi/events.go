package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

type eventsInput struct {
	InOrg
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"go on after this event; absent: begin with the next"`
	After       string `query:"after" maxLength:"20" doc:"as Last-Event-ID, which goes before it; 0 begins with the oldest kept"`
}

func (a *API) registerEvents() {
	stream(a, needs(identity.AppRead), op{
		id: "streamEvents", method: http.MethodGet, path: "/v1/orgs/{org}/events", tag: "events", summary: "Follow what happens, as server-sent events",
	}, func(o *huma.Operation) {
		o.Responses["200"] = streamResponse("text/event-stream", "each message has the event's seq as id and its kind as event; data is an Event as JSON. "+
			"The first message has an id and an empty object: the place the stream begins at. A message of the kind problem ends it.")
		a.schemaOf(o, "200", "text/event-stream", api.Event{})
	}, a.events)
}

func (a *API) events(_ context.Context, c caller, in *eventsInput) error {
	after, err := a.beginning(c, in)
	if err != nil {
		return err
	}
	ctx, done, err := a.streaming(c.r)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := newFlow(c.w, "text/event-stream", cancel)
	// Whoever reads this knows that no event from here on is missed.
	if err := f.write(fmt.Appendf(nil, "id: %d\ndata: {}\n\n", after)); err != nil {
		return nil
	}
	err = f.run(ctx, a.config.Heartbeat, []byte(": alive\n\n"), func(ctx context.Context) error {
		return a.control.Events.Stream(ctx, c.Actor, in.Org, after, func(e model.Event) error {
			data, err := json.Marshal(e)
			if err != nil {
				return fmt.Errorf("writing an event: %w", err)
			}
			return f.write(fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Kind, data))
		})
	})
	if err != nil && ctx.Err() == nil {
		data, _ := json.Marshal(fail(c.r, err).Problem) // strings and a number
		_ = f.write(fmt.Appendf(nil, "event: problem\ndata: %s\n\n", data))
	}
	return nil
}

// beginning returns the seq after which the stream begins.
func (a *API) beginning(c caller, in *eventsInput) (uint64, error) {
	text := in.LastEventID
	if text == "" {
		text = in.After
	}
	if text == "" {
		return a.control.Events.Last(c.r.Context(), c.Actor, in.Org)
	}
	after, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, model.Invalid("%q is not the id of an event", text).WithHint("it is a number: the id of a message received before")
	}
	return after, nil
}
