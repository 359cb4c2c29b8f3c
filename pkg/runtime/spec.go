package runtime

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
)

// capabilities are those a web server needs: to own its files, to become another user, to listen below port 1024, to
// signal its own workers. Left out of what other engines grant: making devices, raw sockets, chroot, file
// capabilities, changing the bounding set, writing the audit log. With no-new-privileges none can be gained.
var capabilities = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID",
}

// Bounds every container has.
const (
	openFilesSoft = 65536
	openFilesHard = 524288
	cpuPeriod     = 100_000 // microseconds
	minCPUQuota   = 1_000   // microseconds per period; the kernel takes no less
)

// specFor describes one container to runc. etc holds its hosts and resolv.conf.
func (r *Runtime) specFor(ctx context.Context, spec model.ContainerSpec, img *image, args []string, etc string) (*specs.Spec, error) {
	c := &containers.Container{ID: idOf(spec.Name)}
	opts := []oci.SpecOpts{
		oci.WithoutRunMount, // an image may bring a /run of its own
		oci.WithDefaultUnixDevices,
		oci.WithProcessArgs(args...),
		oci.WithProcessCwd(cmp.Or(img.config.WorkingDir, "/")),
		oci.WithHostname(hostname(spec.Replica)),
		oci.WithEnv([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}),
		oci.WithEnv(img.config.Env),
		oci.WithEnv(spec.Env),
		oci.WithUIDGID(img.user.UID, img.user.GID),
		oci.WithCapabilities(capabilities[:]),
		oci.WithNoNewPrivileges,
		oci.WithCgroup(r.groups.path(spec.Name)),
		oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.CgroupNamespace}),
		withLimits(spec.Limits, r.groups.swapLimit()),
		withOpenFiles,
		oci.WithMounts(append(etcMounts(etc), specs.Mount{ // language runtimes read their limits here
			Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "noexec", "nodev", "relatime"},
		})),
		seccomp.WithDefaultProfile(), // after the capabilities, which it depends on
	}
	if len(img.user.GIDs) > 0 {
		opts = append(opts, func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
			s.Process.User.AdditionalGids = img.user.GIDs
			return nil
		})
	}
	mounts := r.volumeMounts(spec)
	if r.userns {
		ids := userRange(spec.Replica.WorkloadID)
		opts = append(opts, oci.WithUserNamespace(ids, ids))
		for i := range mounts {
			// By option, not by mappings of the mount's own: for those containerd asks runc for its features each time.
			mounts[i].Options = append(mounts[i].Options, "idmap")
		}
	}
	opts = append(opts, oci.WithMounts(mounts))
	s, err := oci.GenerateSpec(ctx, r.client, c, opts...)
	if err != nil {
		return nil, err
	}
	s.Process.OOMScoreAdj = oomScore()
	s.Linux.Sysctl = map[string]string{
		"net.ipv4.ip_unprivileged_port_start": "0", // any user may listen on port 80
		"net.ipv4.ping_group_range":           "0 65535",
	}
	return s, nil
}

// commandOf returns the whole command line.
func commandOf(spec model.ContainerSpec, img *image) ([]string, error) {
	args := spec.Command
	if args == nil {
		args = append(slices.Clone(img.config.Entrypoint), img.config.Cmd...)
	}
	if len(args) == 0 || args[0] == "" {
		return nil, model.Invalid("the image has no command to run").
			WithHint("give one: [process.%s] command = \"…\" in pandabox.toml, or CMD in the Dockerfile", cmp.Or(spec.Replica.Process, model.ProcessWeb))
	}
	return args, nil
}

func withLimits(l model.Limits, swap bool) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		res := s.Linux.Resources
		if l.Memory > 0 {
			res.Memory = &specs.LinuxMemory{Limit: &l.Memory}
			if swap {
				res.Memory.Swap = &l.Memory // memory and swap together: no swap on top
			}
		}
		if l.MilliCPU > 0 {
			period, quota := uint64(cpuPeriod), max(int64(l.MilliCPU)*cpuPeriod/1000, minCPUQuota)
			res.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
		}
		if l.Pids > 0 {
			res.Pids = &specs.LinuxPids{Limit: &l.Pids}
		}
		return nil
	}
}

// withOpenFiles raises the limit of open files, as far as the daemon's own allows.
func withOpenFiles(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return err
	}
	hard := min(uint64(openFilesHard), own.Max)
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: hard, Soft: min(uint64(openFilesSoft), hard)}}
	return nil
}

// oomScore makes apps go before the daemon, shims and log writers when the box itself runs out of memory. A score can
// be raised by anybody, and lowered only by who has CAP_SYS_RESOURCE.
func oomScore() *int {
	score := 100
	if b, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil {
		if own, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			score = max(score, own)
		}
	}
	return &score
}

// hostname is what the container calls itself.
func hostname(r model.Replica) string {
	name := strings.Trim(strings.ToLower(strings.Join([]string{r.App, r.Process}, "-")), "-")
	if len(name) > 63 {
		name = strings.Trim(name[:63], "-")
	}
	return cmp.Or(name, "app")
}
