package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/network"
)

// buildEnv is the environment whose network build containers are on: they reach the internet and no app.
const buildEnv = "builds"

// builds is the control group of build containers. It stands beside that of the apps, at the root: below it, builds would
// have the apps' share of the CPU where no app wants it, and take it from the daemon, which serves.
func (g cgroups) builds() string { return g.parent + "-builds" }

// BuildSite is where build containers run.
type BuildSite struct {
	Containerd string // containerd's socket
	Mounts     string // the mount namespace containerd is in, a file of /proc; not always this process's
	Namespace  string
	Shim, Runc string // absolute paths
	RuncRoot   string
	Cgroup     string // of all build containers together, as runc names it
	Disk       string // "MAJOR:MINOR" of the disk that can be bounded for each of them; "" where none can
	DNS        netip.Addr
}

// BuildSite returns what a builder needs to know, with the builds' network made and their control group bounded.
func (r *Runtime) BuildSite(ctx context.Context, l model.Limits) (BuildSite, error) {
	if _, err := r.begin(ctx); err != nil {
		return BuildSite{}, err
	}
	bridge, err := r.net.EnsureEnvironment(ctx, buildEnv)
	if err != nil {
		return BuildSite{}, fmt.Errorf("network of builds: %w", err)
	}
	group := r.groups.builds()
	if err := r.groups.bound(group, l, coresForBuilds()); err != nil {
		return BuildSite{}, fmt.Errorf("control group of builds: %w", err)
	}
	pid, err := lockHolder(r.cfg.enginePid())
	if err != nil || pid <= 0 {
		return BuildSite{}, model.Errorf(model.KindUnavailable, "containerd does not run").WithHint("it is restarted at once; try again").Wrap(err)
	}
	return BuildSite{
		Containerd: r.cfg.socket(), Mounts: fmt.Sprintf("/proc/%d/ns/mnt", pid), Namespace: namespace, Shim: r.parts.Shim, Runc: r.parts.Runc, RuncRoot: r.cfg.runcRoot(), Cgroup: group,
		Disk: r.groups.disk(group, r.cfg.DataDir), DNS: bridge.Gateway,
	}, nil
}

// AttachBuild puts the network namespace of a build container's process on the builds' network.
func (r *Runtime) AttachBuild(ctx context.Context, name string, pid int) error {
	_, err := r.net.Attach(ctx, network.AttachRequest{EnvID: buildEnv, Container: name, Pid: pid})
	return err
}

// DetachBuild takes it off again. None there is no error.
func (r *Runtime) DetachBuild(ctx context.Context, name string) error { return r.net.Detach(ctx, name) }

// KillBuilds ends every process of the builds, and removes containers that a builder left.
func (r *Runtime) KillBuilds(ctx context.Context) error {
	ctx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	r.groups.kill(r.groups.builds())
	all, err := r.client.Containers(ctx)
	if err != nil {
		return failure(err, "cannot list the containers")
	}
	var errs []error
	for _, c := range all {
		labels, err := c.Labels(ctx)
		if err != nil || labels[labelReplica] != "" {
			continue
		}
		errs = append(errs, removeBuild(ctx, c))
	}
	return errors.Join(errs...)
}

func removeBuild(ctx context.Context, c containerd.Container) error {
	if task, err := c.Task(ctx, nil); err == nil {
		if _, err := task.Delete(ctx, containerd.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("ending build container %s: %w", c.ID(), err)
		}
	}
	if err := c.Delete(ctx); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing build container %s: %w", c.ID(), err)
	}
	return nil
}

// AdoptImage makes an image that a builder recorded under a name one of ours, and removes the builder's record.
func (r *Runtime) AdoptImage(ctx context.Context, name string) (model.Image, error) {
	ctx, err := r.begin(ctx)
	if err != nil {
		return model.Image{}, err
	}
	rec, err := r.client.ImageService().Get(ctx, name)
	if err != nil {
		return model.Image{}, failure(err, "cannot find the image that was built")
	}
	var have *image
	err = r.withLease(ctx, func(ctx context.Context) (err error) { // BuildKit collects garbage right after a build
		have, err = r.keep(ctx, rec.Target)
		return err
	})
	if err != nil {
		return model.Image{}, failure(err, "cannot keep the image that was built")
	}
	if err := r.client.ImageService().Delete(ctx, name); err != nil && !errdefs.IsNotFound(err) {
		return model.Image{}, failure(err, "cannot keep the image that was built")
	}
	return model.Image{Digest: have.digest, Config: have.model()}, nil
}

// DropImages removes the records of images that a builder made under names that begin so.
func (r *Runtime) DropImages(ctx context.Context, prefix string) error {
	ctx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	all, err := r.client.ImageService().List(ctx)
	if err != nil {
		return failure(err, "cannot list the images")
	}
	var errs []error
	for _, img := range all {
		if strings.HasPrefix(img.Name, prefix) {
			if err := r.client.ImageService().Delete(ctx, img.Name); err != nil && !errdefs.IsNotFound(err) {
				errs = append(errs, fmt.Errorf("removing image %s: %w", img.Name, err))
			}
		}
	}
	return failure(errors.Join(errs...), "cannot remove what a build left")
}

// coresForBuilds returns the CPUs that builds may run on, as a list: all but the first, so that there always is one that
// answers at once; "" where there is but one.
func coresForBuilds() string {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return ""
	}
	var out []string
	for cpu, left := 0, set.Count(); left > 0; cpu++ {
		if set.IsSet(cpu) {
			out = append(out, strconv.Itoa(cpu))
			left--
		}
	}
	return strings.Join(out[min(1, len(out)):], ",")
}

// bound makes a control group and sets its limits; cores, unless "", is the list of CPUs it has.
func (g cgroups) bound(group string, l model.Limits, cores string) error {
	res := &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: cores}, Memory: &specs.LinuxMemory{}, Pids: &specs.LinuxPids{}}
	if l.MilliCPU > 0 {
		period, quota := uint64(cpuPeriod), int64(max(l.MilliCPU*cpuPeriod/1000, minCPUQuota))
		res.CPU.Period, res.CPU.Quota = &period, &quota
	}
	shares := uint64(128) // an eighth of what all apps have, and of what the daemon has, where all want more than there is
	res.CPU.Shares = &shares
	if l.Memory > 0 {
		res.Memory.Limit = &l.Memory
	}
	if l.Pids > 0 {
		res.Pids.Limit = &l.Pids
	}
	if g.unified {
		_, err := cgroup2.NewManager("/sys/fs/cgroup", group, cgroup2.ToResources(res))
		return err
	}
	c, err := cgroup1.New(cgroup1.StaticPath(group), res, cgroup1.WithHierarchy(bounding))
	if err != nil {
		return err
	}
	return c.Update(res)
}

// bounding returns the hierarchies of v1 that limits are set in.
func bounding() ([]cgroup1.Subsystem, error) {
	all, err := cgroup1.Default()
	if err != nil {
		return nil, err
	}
	var out []cgroup1.Subsystem
	for _, s := range all {
		switch s.Name() {
		case cgroup1.Memory, cgroup1.Cpu, cgroup1.Cpuset, cgroup1.Pids:
			out = append(out, s)
		}
	}
	return out, nil
}

// kill ends every process in a control group and those below it, until none is left or killTime has passed.
func (g cgroups) kill(group string) {
	roots := []string{"/sys/fs/cgroup"}
	if !g.unified {
		roots, _ = filepath.Glob("/sys/fs/cgroup/*")
	}
	for end := time.Now().Add(killTime); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, root := range roots {
			_ = filepath.WalkDir(filepath.Join(root, group), func(p string, d fs.DirEntry, err error) error {
				if err == nil && d.Name() == "cgroup.procs" {
					for _, pid := range pidsIn(p) {
						left++
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}
				return nil
			})
		}
		if left == 0 {
			return
		}
	}
}

// below returns the control groups below one, the deepest first.
func below(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && p != dir {
			out = append([]string{p}, out...)
		}
		return nil
	})
	return out
}
