package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// FromNow makes Events begin with the next event.
const FromNow = ^uint64(0)

// Bounds of the pause between two attempts to connect.
const (
	minPause = 200 * time.Millisecond
	maxPause = 5 * time.Second
)

// Events gives every event of the org after seq to yield, oldest first, until ctx ends, which is an error of
// KindCanceled, or until yield fails, whose error it returns as it is. after 0 begins with the oldest kept, FromNow with
// the next. A connection that breaks is made anew and goes on after the last event; the first connection, and an answer
// that refuses, are not tried again. An event of Kind api.EventGap stands for events no longer kept.
func (c *Client) Events(ctx context.Context, after uint64, yield func(api.Event) error) error {
	return c.events(ctx, after, nil, yield)
}

// events is Events; connected, unless nil, is called each time a connection stands and before its first event.
func (c *Client) events(ctx context.Context, after uint64, connected func() error, yield func(api.Event) error) error {
	pause, was := minPause, false
	for {
		err := c.follow(ctx, &after, func() error {
			pause, was = minPause, true
			if connected == nil {
				return nil
			}
			return connected()
		}, yield)
		var stop *stopped
		if errors.As(err, &stop) {
			return stop.err
		}
		if k := model.KindOf(err); !was || k != model.KindUnavailable && k != model.KindRateLimited {
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

// stopped carries an error of the caller's own function.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

// follow reads one connection's events and moves after along.
func (c *Client) follow(ctx context.Context, after *uint64, connected func() error, yield func(api.Event) error) error {
	req, err := c.request(ctx, call{method: http.MethodGet, path: c.org("events")}, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if *after != FromNow {
		req.Header.Set("Last-Event-ID", strconv.FormatUint(*after, 10))
	}
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if err := connected(); err != nil {
		return &stopped{err}
	}
	err = readEvents(res.Body, func(m message) error {
		if m.event == "problem" {
			return m.problem()
		}
		e, err := m.decode()
		if err != nil {
			return err
		}
		if m.id != "" {
			*after = e.Seq
		}
		if e.Kind == "" {
			return nil // only a place to go on from
		}
		if err := yield(e); err != nil {
			return &stopped{err}
		}
		return nil
	})
	var stop *stopped
	if errors.As(err, &stop) {
		return err
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return c.failed(ctx, fmt.Errorf("following the events: %w", err))
}
