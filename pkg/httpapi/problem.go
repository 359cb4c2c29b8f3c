package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// failure is a Problem that huma can answer with.
type failure struct{ api.Problem }

var _ interface {
	huma.StatusError
	huma.ContentTypeFilter
} = (*failure)(nil)

func (f *failure) Error() string { return f.Title }

// GetStatus implements huma.StatusError.
func (f *failure) GetStatus() int { return f.Status }

// ContentType implements huma.ContentTypeFilter.
func (f *failure) ContentType(string) string { return api.ProblemType }

// fail turns an error of a handler into what the caller is told, and keeps the whole of it for the log.
func fail(r *http.Request, err error) *failure {
	err = explained(err)
	note(r).err = err
	return &failure{api.NewProblem(err)}
}

// explained gives errors of the transport the kind they are of.
func explained(err error) error {
	var known *model.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return model.Errorf(model.KindTooLarge, "the upload is larger than %d bytes", large.Limit).Wrap(err).
			WithHint("make it smaller: a smaller base image, or files left out")
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC):
		return model.Errorf(model.KindNoSpace, "the box's disk is full").Wrap(err).WithHint("pandabox doctor says what takes the space")
	case errors.Is(err, context.Canceled):
		return model.Errorf(model.KindCanceled, "canceled").Wrap(err)
	case errors.Is(err, context.DeadlineExceeded):
		return model.Errorf(model.KindTimeout, "this took too long").Wrap(err)
	}
	return err
}

// refuse answers with an error outside of huma.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := fail(r, err)
	a.answer(w, f)
}

// refuseWith is refuse with a status of its own.
func (a *API) refuseWith(w http.ResponseWriter, r *http.Request, status int, err error) {
	f := fail(r, err)
	f.Status = status
	a.answer(w, f)
}

func (a *API) answer(w http.ResponseWriter, f *failure) {
	for name, value := range f.headers() {
		w.Header().Set(name, value)
	}
	b, _ := json.Marshal(f.Problem) // strings and numbers
	w.Header().Set("Content-Type", api.ProblemType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(f.Status)
	_, _ = w.Write(append(b, '\n')) // the caller is gone
}

// lingerTime bounds how long a caller who was refused may go on sending.
const lingerTime = 5 * time.Second

// refuseSender is refuse for a caller who may still be sending: a connection that is closed under one who writes may take
// the answer with it, so what comes is read until the caller, having read the answer, hangs up.
func (a *API) refuseSender(c caller, err error) {
	rc := http.NewResponseController(c.w)
	_ = rc.EnableFullDuplex() // HTTP/2 always reads on
	a.refuse(c.w, c.r, err)
	_ = rc.Flush()
	_ = rc.SetReadDeadline(time.Now().Add(lingerTime)) // not every writer has deadlines
	_, _ = io.Copy(io.Discard, c.r.Body)
}

// headers returns the header fields that go with a status.
func (f *failure) headers() map[string]string {
	switch f.Status {
	case http.StatusUnauthorized:
		return map[string]string{"WWW-Authenticate": `Bearer realm="pandabox"`}
	case http.StatusTooManyRequests:
		return map[string]string{"Retry-After": "10"}
	}
	return nil
}

// translate turns what huma itself refuses (a body that is no JSON, an unknown field, a number out of bounds) into a
// Problem. The values are left out: they may be secrets.
func translate(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := api.Problem{Type: "about:blank", Title: "the request cannot be accepted as it is", Status: e.Status, Kind: api.KindOf(e.Status), Detail: e.Detail}
	if len(e.Errors) > 0 {
		var why []string
		for _, d := range e.Errors {
			why = append(why, strings.TrimSpace(strings.TrimPrefix(d.Location, "body.")+": "+d.Message))
		}
		p.Detail = strings.Join(why, "; ")
	}
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		p.Title = "the request is too large"
	case http.StatusUnsupportedMediaType:
		p.Hint = "send JSON with Content-Type: application/json"
	default:
		p.Hint = "the fields are described in /openapi.json"
	}
	if e.Status >= http.StatusInternalServerError {
		p = api.NewProblem(errors.New(e.Detail))
		p.Status = e.Status
	}
	return p, nil
}
