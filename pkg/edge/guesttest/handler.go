package guesttest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Handler serves requests with the isolates of a program, as pkg/edge does: one is used again until it fails.
type Handler struct {
	Program guest.Program
	World   *World
	Next    http.Handler // nil: the function is no middleware
	Limits  model.FunctionLimits
	Fresh   bool // the state is reset before each request but the first

	mu   sync.Mutex
	idle []guest.Isolate
	errs []error
}

// NewHandler serves program until the test ends. Its limits are l, filled.
func NewHandler(t testing.TB, program guest.Program, l model.FunctionLimits) *Handler {
	h := &Handler{Program: program, World: &World{}, Limits: l.Filled()}
	t.Cleanup(func() {
		for _, i := range h.idle {
			if err := i.Close(context.Background()); err != nil {
				t.Errorf("closing an isolate: %v", err)
			}
		}
		if err := program.Close(context.Background()); err != nil {
			t.Errorf("closing the program: %v", err)
		}
	})
	return h
}

// ServeHTTP answers 500 where the guest failed before it had answered anything.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h.use(r.Context(), func(ctx context.Context, i guest.Isolate, c *guest.Call) error {
		c.Request, c.Writer, c.Next = r.WithContext(ctx), w, h.Next
		rest, err := i.Serve(ctx, c)
		if rest != nil && err == nil {
			err = rest(ctx)
		}
		return err
	})
	if err != nil {
		http.Error(w, "the function failed", http.StatusInternalServerError)
	}
}

// Scheduled runs the scheduled handler.
func (h *Handler) Scheduled(ctx context.Context, e model.ScheduledEvent) error {
	return h.use(ctx, func(ctx context.Context, i guest.Isolate, c *guest.Call) error { return i.Scheduled(ctx, c, e) })
}

// Errors returns what the guest's calls returned, without the nils.
func (h *Handler) Errors() []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]error(nil), h.errs...)
}

func (h *Handler) use(ctx context.Context, f func(context.Context, guest.Isolate, *guest.Call) error) error {
	deadline := time.Now().Add(time.Duration(h.Limits.Timeout))
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	i, err := h.isolate(ctx)
	if err == nil {
		err = f(ctx, i, &guest.Call{Deadline: deadline, CPU: time.Duration(h.Limits.CPU), World: h.World})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.errs = append(h.errs, err)
		if i != nil {
			err = errors.Join(err, i.Close(context.WithoutCancel(ctx)))
		}
		return err
	}
	h.idle = append(h.idle, i)
	return nil
}

func (h *Handler) isolate(ctx context.Context) (guest.Isolate, error) {
	h.mu.Lock()
	var i guest.Isolate
	if n := len(h.idle); n > 0 {
		i, h.idle = h.idle[n-1], h.idle[:n-1]
	}
	h.mu.Unlock()
	switch {
	case i == nil:
		return h.Program.New(ctx)
	case h.Fresh:
		return i, i.Reset(ctx)
	}
	return i, nil
}
