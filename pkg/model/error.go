package model

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. The HTTP status and the CLI's exit code follow from it alone.
type Kind string

// The kinds of error.
const (
	KindInvalid         Kind = "invalid"         // the input cannot be accepted as it is
	KindUnauthenticated Kind = "unauthenticated" // nobody is signed in
	KindForbidden       Kind = "forbidden"       // signed in, but not allowed
	KindNotFound        Kind = "not_found"       // no such thing, or none the caller may see
	KindConflict        Kind = "conflict"        // the thing exists, or changed meanwhile
	KindTooLarge        Kind = "too_large"       // over a stated limit
	KindRateLimited     Kind = "rate_limited"    // too many attempts from one place; wait
	KindUnavailable     Kind = "unavailable"     // a part outside (registry, network, runtime) did not answer; try again
	KindNoSpace         Kind = "no_space"        // the disk is full
	KindTimeout         Kind = "timeout"         // a deadline passed
	KindCanceled        Kind = "canceled"        // somebody asked to stop
	KindRolledBack      Kind = "rolled_back"     // the release never became healthy; the previous one still serves
	KindInternal        Kind = "internal"        // a defect of pandabox
)

// Error is what reaches a person: what went wrong, why, and what to do now.
type Error struct {
	Kind Kind   `json:"kind"`
	What string `json:"what"`           // one line: "release v7 of shop never became healthy, v6 is still serving"
	Why  string `json:"why,omitempty"`  // the cause, as far as it is known; never holds a secret
	Hint string `json:"hint,omitempty"` // what to do now, a command where there is one
	Err  error  `json:"-"`              // the wrapped cause, for logs
}

// Error returns what and why on one line.
func (e *Error) Error() string {
	switch {
	case e.Why != "":
		return e.What + ": " + e.Why
	case e.Err != nil:
		return e.What + ": " + e.Err.Error()
	}
	return e.What
}

// Unwrap returns the wrapped cause.
func (e *Error) Unwrap() error { return e.Err }

// WithWhy returns a copy of e with the cause set.
func (e *Error) WithWhy(format string, args ...any) *Error {
	c := *e
	c.Why = fmt.Sprintf(format, args...)
	return &c
}

// WithHint returns a copy of e with the hint set.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Wrap returns a copy of e that wraps cause.
func (e *Error) Wrap(cause error) *Error {
	c := *e
	c.Err = cause
	return &c
}

// Errorf makes an Error of a kind; the format says what went wrong.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, What: fmt.Sprintf(format, args...)}
}

// Invalid makes an Error of KindInvalid.
func Invalid(format string, args ...any) *Error { return Errorf(KindInvalid, format, args...) }

// NotFound makes an Error of KindNotFound.
func NotFound(format string, args ...any) *Error { return Errorf(KindNotFound, format, args...) }

// Conflict makes an Error of KindConflict.
func Conflict(format string, args ...any) *Error { return Errorf(KindConflict, format, args...) }

// KindOf returns the kind of the first *Error in err's chain, KindInternal when there is none, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
