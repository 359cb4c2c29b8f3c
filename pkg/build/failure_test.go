//go:build linux

package build

import (
	"errors"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestFailureNamesTheFileThatIsMissing(t *testing.T) {
	err := newLog(Request{}, 1<<20).failure(errors.New(`failed to solve: failed to compute cache key: failed to calculate checksum of ref kp9w::uzdx: "/dist/app.js": not found`))
	var e *model.Error
	if !errors.As(err, &e) || e.Kind != model.KindInvalid || e.What != "the build copies dist/app.js, which is not in the source" || e.Hint == "" {
		t.Errorf("got %v", err)
	}
}
