package manifest

import (
	"errors"
	"fmt"

	"github.com/pandabox/pandabox/pkg/model"
)

// Error is a fault in a file and where it is. As a *model.Error (errors.As) its What begins with the place.
type Error struct {
	File         string // as the reader would write it: "pandabox.toml"
	Line, Column int    // from 1; Column counts bytes
	What         string
	Why          string // optional
	Hint         string // optional: what to write instead
}

// Error returns "pandabox.toml:3:1: what: why".
func (e *Error) Error() string { return e.model().Error() }

// Unwrap returns the fault as a *model.Error.
func (e *Error) Unwrap() error { return e.model() }

func (e *Error) model() *model.Error {
	return &model.Error{
		Kind: model.KindInvalid,
		What: fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.What),
		Why:  e.Why,
		Hint: e.Hint,
	}
}

// locate gives err the place it belongs to.
func locate(file string, at position, err error) *Error {
	out := &Error{File: file, Line: at.line, Column: at.column, What: err.Error()}
	var m *model.Error
	if errors.As(err, &m) {
		out.What, out.Why, out.Hint = m.What, m.Why, m.Hint
	}
	return out
}
