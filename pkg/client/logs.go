package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// maxRecord bounds one record of a stream, in bytes: a line of 64 KiB, each byte of it escaped.
const maxRecord = 1 << 20

// Logs gives the lines q chooses to yield, oldest first. With q.Follow it goes on until ctx ends, which is an error of
// KindCanceled, or until yield fails, whose error it returns as it is.
func (c *Client) Logs(ctx context.Context, r Ref, q api.LogQuery, yield func(model.LogLine) error) error {
	v := url.Values{"tail": {strconv.Itoa(q.Tail)}}
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
	res, err := c.open(ctx, call{method: http.MethodGet, path: c.workload(r, "logs"), query: v})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxRecord)
	for lines.Scan() {
		b := bytes.TrimSpace(lines.Bytes())
		if len(b) == 0 {
			continue
		}
		var rec api.LogRecord
		if err := json.Unmarshal(b, &rec); err != nil {
			return c.failed(ctx, fmt.Errorf("reading the log: %w", err))
		}
		switch {
		case rec.Problem != nil:
			return rec.Problem.Err()
		case rec.LogLine != nil:
			if err := yield(*rec.LogLine); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return c.failed(ctx, fmt.Errorf("reading the log: %w", err))
	}
	if q.Follow {
		return c.failed(ctx, fmt.Errorf("following the log: %w", io.ErrUnexpectedEOF))
	}
	return nil
}
