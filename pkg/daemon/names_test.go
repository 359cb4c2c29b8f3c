package daemon

import (
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestPortsBehindNames(t *testing.T) {
	two := &model.Release{Processes: []model.Process{{Name: "admin", Port: 9000}, {Name: "web", Port: 3000}}}
	workers := &model.Release{Processes: []model.Process{{Name: "queue", Port: 5000}, {Name: "stats", Port: 5001}}}
	image := &model.Release{Image: model.Image{Config: &model.ImageConfig{Ports: []int{80}}}}
	function := &model.Release{Function: &model.Function{}}
	site := &model.Release{Static: &model.Static{}}
	for _, c := range []struct {
		release *model.Release
		process string
		want    uint16
	}{
		{two, "", 3000}, {two, "web", 3000}, {two, "admin", 9000}, {two, "none", 0}, {workers, "", 5000}, {workers, "stats", 5001}, {workers, "web", 0},
		{image, "", 80}, {image, "web", 80}, {function, "", 0}, {site, "", 0},
	} {
		if got := portOf(c.release, c.process); got != c.want {
			t.Errorf("%v, %q: %d, want %d", c.release.Processes, c.process, got, c.want)
		}
	}
}
