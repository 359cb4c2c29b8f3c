package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"syscall"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Why a call did not happen or end well.
var (
	errGone  = errors.New("the function is being removed")
	errCut   = errors.New("the function was removed or pandabox stopped before it was done")
	errLoop  = errors.New("the request went through functions too many times: they call each other in a circle")
	errLarge = errors.New("its answer is longer than it may be")
	errPanic = errors.New("a defect of pandabox; the daemon's log has more")
)

// failure is what a client is told.
type failure struct {
	status int
	text   string
	again  bool // worth asking again soon
}

// explain turns why a call failed into what a client may know: nothing of the inside. Of serving only.
func explain(err error) failure {
	switch {
	case errors.Is(err, errFull), errors.Is(err, errGone), errors.Is(err, errCut):
		return failure{http.StatusServiceUnavailable, "The function has more to do than it can. Try again in a moment.", true}
	case errors.Is(err, errWaited):
		return failure{http.StatusServiceUnavailable, "The function has more to do than it can. Try again in a moment.", true}
	case errors.Is(err, errLoop):
		return failure{http.StatusLoopDetected, "The function called itself too many times.", false}
	case errors.Is(err, guest.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return failure{http.StatusGatewayTimeout, "The function took too long.", false}
	case errors.Is(err, guest.ErrCPU), errors.Is(err, guest.ErrMemory):
		return failure{http.StatusServiceUnavailable, "The function needed more than it may have.", false}
	}
	return failure{http.StatusInternalServerError, "The function failed.", false}
}

// write answers a request.
func (f failure) write(w http.ResponseWriter) {
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if f.again {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(f.status)
	_, _ = fmt.Fprintln(w, f.text)
}

// recovered, deferred, turns a panic of ours into an error: one call fails, and not the daemon.
func (h *Host) recovered(doing string, err *error) {
	r := recover()
	if r == nil {
		return
	}
	h.cfg.Logger.Error().Interface("panic", r).Str("doing", doing).Bytes("stack", debug.Stack()).Msg("a panic was caught")
	*err = fmt.Errorf("%s: %w", doing, errPanic)
}

// diskFull says what a person can do about a full disk.
func diskFull(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return model.Errorf(model.KindNoSpace, "the disk is full, so nothing can be saved").Wrap(err).
		WithHint("free some space, then try again; what runs goes on running")
}
