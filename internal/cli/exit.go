package cli

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/model"
)

// The exit codes of every command. exec and run pass on the code of the command they ran.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2   // the command line or a file is not right
	ExitNotAllowed  = 3   // not signed in, or not allowed
	ExitNotFound    = 4   // no such thing
	ExitRolledBack  = 5   // the deploy failed and the release before it serves
	ExitTimedOut    = 6   // a deadline passed
	ExitInterrupted = 130 // Ctrl-C, or the deploy was canceled
)

// exitError ends the program with a code of its own. A nil err says nothing more.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "exit"
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitCode returns the code that err ends the program with.
func exitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	if errors.Is(err, context.Canceled) {
		return ExitInterrupted
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return ExitTimedOut
	}
	switch model.KindOf(err) {
	case model.KindInvalid:
		return ExitUsage
	case model.KindUnauthenticated, model.KindForbidden:
		return ExitNotAllowed
	case model.KindNotFound:
		return ExitNotFound
	case model.KindRolledBack:
		return ExitRolledBack
	case model.KindTimeout:
		return ExitTimedOut
	case model.KindCanceled:
		return ExitInterrupted
	}
	return ExitFailed
}
