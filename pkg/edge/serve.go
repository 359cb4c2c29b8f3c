package edge

import (
	"context"
	"errors"
	"net/http"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Serve answers a request with the function of that name. next is what the request would have met without the function;
// nil unless it is middleware. It panics with http.ErrAbortHandler where an answer that has begun cannot be finished, as
// net/http's handlers do.
func (h *Host) Serve(name string, w http.ResponseWriter, r *http.Request, next http.Handler) {
	f := h.find(name)
	if f == nil {
		explain(errGone).write(w)
		return
	}
	f.serve(w, r, next)
}

func (f *function) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	f.counts.requests.Add(1)
	c, err := f.newCall(r.Context(), hops(r.Header))
	if err != nil {
		f.failed(r, err)
		explain(err).write(w)
		return
	}
	a := &answer{w: w, body: r.Body, ctx: c.ctx, left: f.limits.Response, head: r.Method == http.MethodHead}
	// Until the call is over, and not until its context is: that is canceled at the end of each.
	stop := context.AfterFunc(c.ctx, a.interrupt)
	err = c.run(r.Context(), func(i guest.Isolate) (func(context.Context) error, error) {
		defer a.end()
		defer stop()
		rest, err := i.Serve(c.ctx, f.guestCall(c, a, r, next))
		switch cause := c.ended(); {
		case err != nil:
		case a.err != nil:
			err = a.err
		case errors.Is(cause, http.ErrAbortHandler): // what middleware passed on was broken off
			err = cause
		}
		return rest, err
	})
	stop()
	a.end()
	switch {
	case err == nil:
		if !a.sent {
			a.w.WriteHeader(http.StatusOK)
		}
		return
	case !gaveUp(r.Context(), err):
		f.failed(r, err)
	}
	if a.sent || a.cut {
		panic(http.ErrAbortHandler)
	}
	explain(err).write(w)
}

func (f *function) guestCall(c *call, a *answer, r *http.Request, next http.Handler) *guest.Call {
	request := r.WithContext(c.ctx)
	if r.Body != nil && r.Body != http.NoBody {
		request.Body = &requestBody{a}
	}
	g := &guest.Call{Request: request, Writer: a, Deadline: c.deadline, CPU: f.limits.CPU.Std(), World: c}
	if next != nil {
		g.Next = &beyond{next: next, a: a, c: c}
	}
	return g
}

// failed counts a request that failed and writes why into the function's log.
func (f *function) failed(r *http.Request, err error) {
	f.counts.errors.Add(1)
	if errors.Is(err, errGone) || errors.Is(err, errFull) && f.counts.refused.Add(1)%100 != 1 {
		return // a flood of requests is no flood of lines
	}
	f.log("error: %s %s: %s", r.Method, r.URL.Path, f.why(err))
}

// why adds to the limits what they are.
func (f *function) why(err error) string {
	switch {
	case errors.Is(err, guest.ErrCPU):
		return "it used more CPU time than limits.cpu allows, " + f.limits.CPU.Std().String()
	case errors.Is(err, guest.ErrTimeout):
		return "it took longer than limits.timeout allows, " + f.limits.Timeout.Std().String()
	case errors.Is(err, guest.ErrMemory):
		return "it needs more memory than limits.memory allows, " + size(f.limits.Memory)
	case errors.Is(err, errLarge):
		return "its answer is longer than limits.response allows, " + size(f.limits.Response) + "; it was cut off"
	case errors.Is(err, errWaited), errors.Is(err, errFull):
		return err.Error() + ": as many as limits.concurrency allows are being answered"
	}
	return err.Error()
}

// Scheduled calls the function's scheduled handler and returns once that has ended, waitUntil included.
func (h *Host) Scheduled(ctx context.Context, name string, e model.ScheduledEvent) error {
	f := h.find(name)
	if f == nil {
		return notStarted(name)
	}
	f.counts.requests.Add(1)
	c, err := f.newCall(ctx, 0)
	if err != nil {
		return model.Errorf(model.KindUnavailable, "the function cannot be called").Wrap(err).WithWhy("%s", err)
	}
	err = c.run(ctx, func(i guest.Isolate) (func(context.Context) error, error) {
		return nil, i.Scheduled(c.ctx, &guest.Call{Deadline: c.deadline, CPU: f.limits.CPU.Std(), World: c}, e)
	})
	if err == nil {
		return nil
	}
	f.counts.errors.Add(1)
	if isKind(err, model.KindInvalid) {
		return err
	}
	f.log("error: scheduled %s: %s", e.Job, f.why(err))
	kind := model.KindUnavailable
	if errors.Is(err, guest.ErrTimeout) {
		kind = model.KindTimeout
	}
	return model.Errorf(kind, "the function failed").Wrap(err).WithWhy("%s", f.why(err)).WithHint("its log: pandabox fn logs")
}

func notStarted(name string) error {
	return model.NotFound("there is no function %s", name).WithHint("deploy it: pandabox fn deploy")
}
