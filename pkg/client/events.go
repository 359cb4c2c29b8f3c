package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/pandabox/pandabox/pkg/api"
)

// FromNow makes Events begin with the next event.
const FromNow = ^uint64(0)

// Events gives every event of the org after seq to yield, oldest first, until ctx ends, which is an error of
// KindCanceled, or until yield fails, whose error it returns as it is. after 0 begins with the oldest kept, FromNow with
// the next. A connection that breaks is made anew and goes on after the last event; the first connection, and an answer
// that refuses, are not tried again. An event of Kind api.EventGap stands for events no longer kept.
func (c *Client) Events(ctx context.Context, after uint64, yield func(api.Event) error) error {
	return c.events(ctx, after, nil, yield)
}

// events is Events; connected, unless nil, is called each time a connection stands and before its first event.
func (c *Client) events(ctx context.Context, after uint64, connected func() error, yield func(api.Event) error) error {
	return c.persist(ctx, func(stands func()) error {
		return c.follow(ctx, &after, func() error {
			stands()
			if connected == nil {
				return nil
			}
			return connected()
		}, yield)
	})
}

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
