package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	cgroupsv3 "github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"

	"github.com/pandabox/pandabox/pkg/model"
)

// cgroups are the control groups of this instance's containers, PARENT/NAME in every hierarchy. The parent stands at
// the root, as dockerd's and the kubelet's do, and not below the daemon's own service: there a restart of the service
// by systemd, with containers left running, would find the group it has to enter closed to processes (cgroup v2 has
// them in leaves only).
type cgroups struct {
	parent  string
	unified bool // cgroup v2; otherwise v1, also beside an empty v2 hierarchy
}

func newCgroups(parent string) cgroups {
	return cgroups{parent: parent, unified: cgroupsv3.Mode() == cgroupsv3.Unified}
}

func (g cgroups) path(name string) string { return path.Join(g.parent, idOf(name)) }

// swapLimit tells whether the kernel can limit swap: v1 only does so when booted with swapaccount=1.
func (g cgroups) swapLimit() bool {
	if g.unified {
		return true
	}
	_, err := os.Stat("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
	return err == nil
}

// some returns the hierarchies of v1 that usage is read from.
func some() ([]cgroup1.Subsystem, error) {
	all, err := cgroup1.Default()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s cgroup1.Subsystem) bool {
		return s.Name() != cgroup1.Memory && s.Name() != cgroup1.Cpuacct && s.Name() != cgroup1.Pids
	}), nil
}

// usage reads what a container uses now.
func (g cgroups) usage(name string) (model.Usage, error) {
	u := model.Usage{At: time.Now()}
	if g.unified {
		m, err := cgroup2.Load(g.path(name))
		if err != nil {
			return u, fmt.Errorf("opening the cgroup of %s: %w", name, err)
		}
		s, err := m.Stat()
		if err != nil {
			return u, fmt.Errorf("reading the cgroup of %s: %w", name, err)
		}
		u.CPU = time.Duration(s.GetCPU().GetUsageUsec()) * time.Microsecond
		u.Memory = int64(s.GetMemory().GetUsage() - min(s.GetMemory().GetInactiveFile(), s.GetMemory().GetUsage()))
		u.Pids = int64(s.GetPids().GetCurrent())
		u.OOMKills = int64(s.GetMemoryEvents().GetOomKill())
		return u, nil
	}
	m, err := cgroup1.Load(cgroup1.StaticPath(g.path(name)), cgroup1.WithHierarchy(some))
	if err != nil {
		return u, fmt.Errorf("opening the cgroup of %s: %w", name, err)
	}
	s, err := m.Stat(cgroup1.IgnoreNotExist)
	if err != nil {
		return u, fmt.Errorf("reading the cgroup of %s: %w", name, err)
	}
	used, idle := s.GetMemory().GetUsage().GetUsage(), s.GetMemory().GetTotalInactiveFile()
	u.CPU = time.Duration(s.GetCPU().GetUsage().GetTotal())
	u.Memory = int64(used - min(idle, used))
	u.Pids = int64(s.GetPids().GetCurrent())
	u.OOMKills = int64(s.GetMemoryOomControl().GetOomKill())
	return u, nil
}

// pids returns the processes of a container.
func (g cgroups) pids(name string) ([]int, error) {
	file := path.Join("/sys/fs/cgroup/pids", g.path(name), "cgroup.procs")
	if g.unified {
		file = path.Join("/sys/fs/cgroup", g.path(name), "cgroup.procs")
	}
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("listing the processes of %s: %w", name, err)
	}
	return pidsIn(file), nil
}

// oomKills returns how often the kernel ended a process of the container for want of memory, 0 when it cannot be told.
func (g cgroups) oomKills(name string) int64 {
	u, err := g.usage(name)
	if err != nil {
		return 0
	}
	return u.OOMKills
}

// remove removes the instance's groups. What is still in them is killed: a container that was half made when its shim
// ended. That takes a moment, so it is tried until it succeeds, for at most killTime.
func (g cgroups) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	for {
		err := g.removeOnce()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (g cgroups) removeOnce() error {
	roots := []string{"/sys/fs/cgroup"}
	if !g.unified {
		roots, _ = filepath.Glob("/sys/fs/cgroup/*")
	}
	var errs []error
	for _, root := range roots {
		apps, builds := filepath.Join(root, g.parent), filepath.Join(root, g.builds())
		for _, d := range slices.Concat(below(apps), []string{apps}, below(builds), []string{builds}) {
			for _, pid := range pidsIn(filepath.Join(d, "cgroup.procs")) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			if err := os.Remove(d); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// pidsIn returns the processes listed in a cgroup.procs file, none where it is not there.
func pidsIn(file string) []int {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out []int
	for line := range strings.Lines(string(b)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 {
			out = append(out, pid)
		}
	}
	return out
}
