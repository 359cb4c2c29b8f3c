package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

type logsInput struct {
	InEnv
	Process   string    `query:"process" maxLength:"40" doc:"only of this process"`
	Release   int       `query:"release" minimum:"0" doc:"only of the release of this number"`
	Container string    `query:"container" maxLength:"200" doc:"only of this container"`
	Since     time.Time `query:"since" doc:"only from this time on"`
	Tail      int       `query:"tail" minimum:"-1" default:"100" doc:"only the last so many lines; -1: all that are kept"`
	Follow    bool      `query:"follow" doc:"go on until the caller hangs up"`
}

const ndjson = "application/x-ndjson"

func (a *API) registerLogs() {
	stream(a, needs(identity.LogRead), op{
		id: "readLogs", method: http.MethodGet, path: envPath + "/logs", tag: "logs", summary: "Read what a workload printed",
	}, a.describeRecords(model.LogLine{}), func(_ context.Context, c caller, in *logsInput) error {
		q := model.LogQuery{Process: in.Process, Release: in.Release, Container: in.Container, Since: in.Since, Tail: in.Tail, Follow: in.Follow}
		return records(a, c, func(ctx context.Context, yield func(model.LogLine) error) error {
			return a.control.Logs.Read(ctx, c.Actor, in.ref(), q, yield)
		})
	})
}

// describeRecords documents an answer that records writes.
func (a *API) describeRecords(record any) func(*huma.Operation) {
	return func(o *huma.Operation) {
		o.Responses["200"] = streamResponse(ndjson, "one record in a line, oldest first; a problem ends the stream early; blank lines only keep it alive")
		o.Responses["200"].Content[ndjson].Schema = &huma.Schema{OneOf: []*huma.Schema{
			a.schema(record),
			{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"problem": a.schema(api.Problem{})}, Required: []string{"problem"}},
		}}
	}
}

// records answers with what read yields, a record in a line.
func records[T any](a *API, c caller, read func(ctx context.Context, yield func(T) error) error) error {
	ctx, done, err := a.streaming(c.r)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := newFlow(c.w, ndjson, cancel)
	err = f.run(ctx, a.config.Heartbeat, []byte("\n"), func(ctx context.Context) error {
		return read(ctx, func(record T) error {
			b, err := json.Marshal(record)
			if err != nil {
				return fmt.Errorf("writing a line: %w", err)
			}
			return f.write(append(b, '\n'))
		})
	})
	switch {
	case err == nil && !f.started():
		_ = f.write(nil) // an empty log is an answer too
	case err == nil, ctx.Err() != nil:
	case !f.started():
		return err
	default:
		p := fail(c.r, err).Problem
		b, _ := json.Marshal(api.LogRecord{Problem: &p}) // strings and a number
		_ = f.write(append(b, '\n'))
	}
	return nil
}
