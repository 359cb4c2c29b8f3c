package reconcile

import (
	"errors"

	"github.com/pandabox/pandabox/pkg/model"
)

// reason returns what a person should read of an error.
func reason(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return err.Error()
}

func hintOf(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// kindOf returns the kind of an error somebody outside gave, "" for one nobody classified.
func kindOf(err error) model.Kind {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
