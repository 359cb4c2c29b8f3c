package api

import (
	"errors"
	"net/http"

	"github.com/pandabox/pandabox/pkg/model"
)

// ProblemType is the content type of a Problem.
const ProblemType = "application/problem+json"

// Problem is an error on the wire, in the form of RFC 9457.
type Problem struct {
	Type   string     `json:"type,omitempty" doc:"always about:blank: kind tells the sort of error"`
	Title  string     `json:"title" doc:"what went wrong, in one line"`
	Status int        `json:"status" doc:"the HTTP status"`
	Detail string     `json:"detail,omitempty" doc:"why, as far as it is known"`
	Hint   string     `json:"hint,omitempty" doc:"what to do now"`
	Kind   model.Kind `json:"kind" doc:"the sort of error"`
}

// NewProblem describes err to a caller. Of an error that is not a *model.Error nothing is told but that it happened.
func NewProblem(err error) Problem {
	var e *model.Error
	if !errors.As(err, &e) {
		e = model.Errorf(model.KindInternal, "pandabox failed at this").WithHint("the box's log says more: journalctl -u pandabox")
	}
	return Problem{Type: "about:blank", Title: e.What, Status: Status(e.Kind), Detail: e.Why, Hint: e.Hint, Kind: e.Kind}
}

// Err returns the error p describes.
func (p Problem) Err() *model.Error {
	return &model.Error{Kind: p.Kind, What: p.Title, Why: p.Detail, Hint: p.Hint}
}

// Status returns the HTTP status of a kind of error.
func Status(k model.Kind) int {
	switch k {
	case model.KindInvalid:
		return http.StatusUnprocessableEntity
	case model.KindUnauthenticated:
		return http.StatusUnauthorized
	case model.KindForbidden:
		return http.StatusForbidden
	case model.KindNotFound:
		return http.StatusNotFound
	case model.KindConflict, model.KindRolledBack, model.KindCanceled:
		return http.StatusConflict
	case model.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case model.KindRateLimited:
		return http.StatusTooManyRequests
	case model.KindUnavailable:
		return http.StatusServiceUnavailable
	case model.KindNoSpace:
		return http.StatusInsufficientStorage
	case model.KindTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// KindOf returns the kind of error an HTTP status stands for, where there is no Problem to tell.
func KindOf(status int) model.Kind {
	switch status {
	case http.StatusUnauthorized:
		return model.KindUnauthenticated
	case http.StatusForbidden:
		return model.KindForbidden
	case http.StatusNotFound:
		return model.KindNotFound
	case http.StatusConflict:
		return model.KindConflict
	case http.StatusRequestEntityTooLarge:
		return model.KindTooLarge
	case http.StatusTooManyRequests:
		return model.KindRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return model.KindUnavailable
	case http.StatusInsufficientStorage:
		return model.KindNoSpace
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return model.KindTimeout
	}
	if status >= 400 && status < 500 {
		return model.KindInvalid
	}
	return model.KindInternal
}
