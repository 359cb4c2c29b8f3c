package runtime_test

import (
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

var (
	_ runtimetest.Runtime = (*runtime.Runtime)(nil)
	_ runtimetest.Images  = (*runtime.Runtime)(nil)
)

func TestRuntimeConforms(t *testing.T) {
	runtimetest.TestConformance(t, func(t *testing.T) runtimetest.Subject {
		cfg := boxtest.Config(t)
		cfg.ImageGrace = time.Nanosecond
		r := boxtest.Start(t, cfg)
		return runtimetest.Subject{Runtime: r, Images: r, Image: func(t *testing.T, spec runtimetest.ImageSpec) model.Image {
			return boxtest.Import(t, r, runtimetest.Image(t, spec))
		}}
	})
}
