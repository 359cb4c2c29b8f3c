package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// maxRecord bounds one record of a stream, in bytes: a line of 64 KiB, each byte of it escaped.
const maxRecord = 1 << 20

// Logs gives the lines q chooses to yield, oldest first. With q.Follow it goes on until ctx ends, which is an error of
// KindCanceled, or until yield fails, whose error it returns as it is. A connection that breaks while following is made
// anew and goes on behind the last line; what an app prints meanwhile is kept by the box.
func (c *Client) Logs(ctx context.Context, r Ref, q api.LogQuery, yield func(model.LogLine) error) error {
	if !q.Follow {
		err := c.readLogs(ctx, r, q, func() {}, yield)
		var stop *stopped
		if errors.As(err, &stop) {
			return stop.err
		}
		return err
	}
	var seen tail
	return c.persist(ctx, func(stands func()) error {
		return c.readLogs(ctx, r, seen.after(q), stands, func(l model.LogLine) error {
			if seen.add(l) {
				return yield(l)
			}
			return nil
		})
	})
}

// readLogs reads over one connection. What yield and the box itself say is a *stopped.
func (c *Client) readLogs(ctx context.Context, r Ref, q api.LogQuery, stands func(), yield func(model.LogLine) error) error {
	err := c.readRecords(ctx, call{method: http.MethodGet, path: c.workload(r, "logs"), query: logQuery(q)}, stands, func(b []byte) error {
		rec, err := record[api.LogRecord](b)
		switch {
		case err != nil:
			return err
		case rec.Problem != nil:
			return rec.Problem.Err()
		case rec.LogLine == nil:
			return nil
		}
		if err := yield(*rec.LogLine); err != nil {
			return &stopped{err}
		}
		return nil
	})
	if err == nil && q.Follow {
		return c.failed(ctx, fmt.Errorf("reading the log: %w", io.ErrUnexpectedEOF))
	}
	return err
}

// readRecords gives the lines of a stream to each, over one connection; an error of each ends it and comes back as it
// is. stands is called once there is an answer.
func (c *Client) readRecords(ctx context.Context, k call, stands func(), each func([]byte) error) error {
	res, err := c.open(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	stands()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxRecord)
	for lines.Scan() {
		b := bytes.TrimSpace(lines.Bytes())
		if len(b) == 0 {
			continue
		}
		if err := each(b); err != nil {
			var bad *badRecord
			if errors.As(err, &bad) {
				return c.failed(ctx, err)
			}
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return c.failed(ctx, fmt.Errorf("reading the log: %w", err))
	}
	return nil
}

// badRecord is a record that is none: the connection broke in the middle of it.
type badRecord struct{ err error }

func (b *badRecord) Error() string { return "reading the log: " + b.err.Error() }

// Unwrap returns the cause.
func (b *badRecord) Unwrap() error { return b.err }

func record[T any](b []byte) (rec T, err error) {
	if err := json.Unmarshal(b, &rec); err != nil {
		return rec, &badRecord{err}
	}
	return rec, nil
}

func logQuery(q api.LogQuery) url.Values {
	v := url.Values{"tail": {strconv.Itoa(max(q.Tail, -1))}}
	set := func(name, value string, when bool) {
		if when {
			v.Set(name, value)
		}
	}
	set("process", q.Process, q.Process != "")
	set("release", strconv.Itoa(q.Release), q.Release != 0)
	set("container", q.Container, q.Container != "")
	set("since", q.Since.UTC().Format(time.RFC3339Nano), !q.Since.IsZero())
	set("follow", "true", q.Follow)
	return v
}

// tail remembers where a log was left: the time of the newest line, and every line of that time.
type tail struct {
	at    time.Time
	lines []model.LogLine
	known []model.LogLine // lines that the connection of now repeats
}

// after returns q for going on where the log was left, over a new connection.
func (t *tail) after(q api.LogQuery) api.LogQuery {
	if !t.at.IsZero() {
		q.Since, q.Tail = t.at, -1
		t.known = slices.Clone(t.lines)
	}
	return q
}

// add remembers l and tells whether it is new. Lines of several containers need not come in order.
func (t *tail) add(l model.LogLine) bool {
	if i := slices.Index(t.known, l); i >= 0 {
		t.known = slices.Delete(t.known, i, i+1)
		return false
	}
	if l.At.After(t.at) {
		t.at, t.lines = l.At, t.lines[:0]
	}
	if l.At.Equal(t.at) {
		t.lines = append(t.lines, l)
	}
	return true
}
