package daemon

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/build"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

// What builds may use where the configuration does not say.
const (
	buildPids      = 4096
	buildMemoryMin = 256 << 20 // bytes
	buildDiskRate  = 100 << 20 // bytes a second; bench build-neighbour: without it, what serves answers twice as late
	buildDiskMin   = 1 << 20
)

// config returns what the builder is told.
func (b Build) config() (build.Config, error) {
	c := build.Config{Limits: model.Limits{Pids: buildPids, MilliCPU: max(runtime.NumCPU()-1, 1) * 1000, Memory: halfOfMemory()}, DiskRate: buildDiskRate, Mirrors: b.Mirrors}
	for _, size := range []struct {
		key, text string
		least     int64
		into      *int64
	}{{"memory", b.Memory, buildMemoryMin, &c.Limits.Memory}, {"cache", b.Cache, buildMemoryMin, &c.CacheMax}, {"disk_rate", b.DiskRate, buildDiskMin, &c.DiskRate}} {
		if size.text == "" || size.text == "off" && size.key == "disk_rate" {
			continue
		}
		n, err := manifest.ParseSize(size.text)
		if err != nil || n < size.least {
			return c, model.Invalid("build.%s = %q cannot be used", size.key, size.text).WithHint(`write it as "4GB"; at least %d MB`, size.least>>20)
		}
		*size.into = n
	}
	if b.DiskRate == "off" {
		c.DiskRate = 0
	}
	switch {
	case b.CPU < 0 || b.CPU > 1024 || b.CPU > 0 && b.CPU < 0.1:
		return c, model.Invalid("build.cpu = %g cannot be used", b.CPU).WithHint("write it in cores: 1.5")
	case b.CPU > 0:
		c.Limits.MilliCPU = int(b.CPU * 1000)
	}
	if b.Deadline != "" {
		d, err := time.ParseDuration(b.Deadline)
		if err != nil || d < time.Second {
			return c, model.Invalid("build.deadline = %q cannot be used", b.Deadline).WithHint(`write it as "30m"`)
		}
		c.Deadline = d
	}
	return c, nil
}

// halfOfMemory returns half of the machine's memory, in bytes; 0, which is no limit, where that is not known.
func halfOfMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit) / 2 //nolint:gosec // no machine has 2^63 bytes
}
