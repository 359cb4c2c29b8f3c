package daemon

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/build"
	"github.com/pandabox/pandabox/pkg/model"
)

func TestBoundsOfBuilds(t *testing.T) {
	c, err := Build{}.config()
	if err != nil {
		t.Fatal(err)
	}
	if c.DiskRate != buildDiskRate {
		t.Errorf("by default a build may use %d bytes of the disk a second", c.DiskRate)
	}
	if l := c.Limits; l.Pids != buildPids || l.MilliCPU != max(runtime.NumCPU()-1, 1)*1000 || l.Memory < buildMemoryMin {
		t.Errorf("by default builds may use %+v", l)
	}
	c, err = Build{Memory: "4GB", CPU: 1.5, Cache: "2GB", DiskRate: "20MB", Deadline: "1h", Mirrors: map[string][]string{"docker.io": {"mirror.test"}}}.config()
	want := build.Config{Limits: model.Limits{Memory: 4 << 30, MilliCPU: 1500, Pids: buildPids}, CacheMax: 2 << 30, DiskRate: 20 << 20, Deadline: time.Hour}
	if err != nil || c.Limits != want.Limits || c.CacheMax != want.CacheMax || c.DiskRate != want.DiskRate || c.Deadline != want.Deadline || len(c.Mirrors["docker.io"]) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err := (Build{DiskRate: "off"}).config(); err != nil || c.DiskRate != 0 {
		t.Errorf("without a bound: %d, %v", c.DiskRate, err)
	}
	for key, b := range map[string]Build{
		"build.memory": {Memory: "lots"}, "build.memory = \"1MB\"": {Memory: "1MB"}, "build.cache": {Cache: "-1GB"}, "build.cpu": {CPU: -1}, "build.disk_rate = \"1KB\"": {DiskRate: "1KB"}, "build.cache = \"off\"": {Cache: "off"}, "build.cpu = 0.01": {CPU: 0.01},
		"build.cpu = 2000": {CPU: 2000}, "build.deadline": {Deadline: "soon"}, "build.deadline = \"-1h\"": {Deadline: "-1h"},
	} {
		_, err := Config{Build: b}.complete()
		if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), key) {
			t.Errorf("%+v: %v", b, err)
		}
	}
}
