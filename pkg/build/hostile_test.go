//go:build linux

package build_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/build"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
)

// tools makes busybox's applets commands of a build.
const tools = "FROM base\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n"

// printed builds a Dockerfile and returns its log.
func (s *site) printed(t *testing.T, id, dockerfile string) string {
	t.Helper()
	log := &lines{}
	if _, err := s.builder.Build(t.Context(), request(t, id, source(t, map[string]string{"Dockerfile": dockerfile}), log)); err != nil {
		t.Errorf("%v\n%s", err, log.text())
	}
	return log.text()
}

// refused builds a folder and insists on an error for people that says something.
func (s *site) refused(t *testing.T, r build.Request, kind model.Kind, says string) {
	t.Helper()
	_, err := s.builder.Build(t.Context(), r)
	var e *model.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Error()+e.Why, says) || e.Hint == "" {
		t.Errorf("%s: %v (%s), want %s with %q", r.ID, err, model.KindOf(err), kind, says)
	}
}

// clean insists that nothing of a build is left but its cache: no process, container, image, mount or file.
func (s *site) clean(t *testing.T) {
	t.Helper()
	for _, pid := range s.processes(t) {
		cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		t.Errorf("process %d is left: %q", pid, cmd)
	}
	ctx := namespaces.WithNamespace(t.Context(), "pandabox")
	c := s.containerd(t)
	all, err := c.Containers(ctx)
	if err != nil || len(all) != 0 {
		t.Errorf("containers left: %v, %v", all, err)
	}
	images, err := c.ImageService().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		if strings.HasPrefix(img.Name, build.ImageName("")) {
			t.Errorf("an image is left: %s", img.Name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(mounts)) {
		if f := strings.Fields(row); strings.HasPrefix(f[4], s.dir+"/data/") {
			t.Errorf("a mount is left: %s", f[4])
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "data", "build", "recipe-*")); len(left) != 0 {
		t.Errorf("recipes are left: %v", left)
	}
}

// processes returns those in the builds' control group.
func (s *site) processes(t *testing.T) []int {
	t.Helper()
	var out []int
	_ = filepath.WalkDir(s.group("pids"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "cgroup.procs" {
			b, _ := os.ReadFile(name)
			for _, f := range strings.Fields(string(b)) {
				pid, _ := strconv.Atoi(f)
				out = append(out, pid)
			}
		}
		return nil
	})
	return out
}

// unified tells whether the machine has cgroup v2.
func unified() bool { return cgroups.Mode() == cgroups.Unified }

// group is the folder of the builds' control group, with v1 of the hierarchy named.
func (s *site) group(hierarchy string) string {
	if unified() {
		hierarchy = ""
	}
	return filepath.Join("/sys/fs/cgroup", hierarchy, "pandabox-"+runtime.InstanceID(filepath.Join(s.dir, "data"))+"-builds")
}

// TestConfinement tries from inside a build what a build must not be able to do.
func TestConfinement(t *testing.T) {
	s := newSite(t, nil)
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the box")) })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	victim := os.Getpid()
	log := s.printed(t, "confined", tools+fmt.Sprintf(`RUN id -u; cat /proc/self/status | grep -E 'CapEff|NoNewPrivs|Seccomp:'
RUN mkdir /m; mount -t tmpfs none /m && echo MOUNTED; mount -t proc none /m && echo MOUNTED; mount -o remount,rw /sys && echo MOUNTED; umount /proc && echo MOUNTED; true
RUN mknod /sda b 254 0 && head -c 1 /sda && echo DEVICE; mknod /kmem c 1 2 && head -c 1 /kmem && echo DEVICE; true
RUN kill -9 %d && echo KILLED; ls -d /proc/%d && echo SEEN; chroot /proc/1/root /bin/sh -c 'ls /work' && echo ESCAPED; true
RUN echo x >/proc/sys/kernel/hostname && echo SYSCTL; echo x >/proc/sysrq-trigger && echo SYSCTL; hostname evil && echo SYSCTL; true
RUN ls /sys/fs/cgroup/*/ >/dev/null 2>&1; for f in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/memory.max /sys/fs/cgroup/cgroup.procs; do [ -e $f ] && echo 1 >$f && echo CGROUP; done; true
RUN find / -xdev -type s 2>/dev/null | while read f; do echo SOCKET $f; done; true
RUN gw=$(ip route | sed -n 's/default via \([0-9.]*\).*/\1/p'); echo gateway $gw; for a in 127.0.0.1 $gw; do nc -w 2 $a %d </dev/null && echo REACHED $a; done; nc -w 2 $gw 53 </dev/null && echo can reach
RUN nc -w 2 169.254.169.254 80 </dev/null && echo REACHED metadata; true
`, victim, victim, port))
	for _, bad := range []string{"|MOUNTED", "|DEVICE", "|KILLED", "|SEEN", "|ESCAPED", "|SYSCTL", "|CGROUP", "|SOCKET", "|REACHED"} {
		if strings.Contains(log, bad) {
			t.Errorf("a build could: %s", bad)
		}
	}
	if !strings.Contains(log, "gateway 10.") || !strings.Contains(log, "|can reach") || !strings.Contains(log, "Seccomp:\t2") {
		t.Error("the build has no network or no seccomp filter")
	}
	if t.Failed() {
		t.Log(log)
	}
	for id, step := range map[string]string{"insecure": "RUN --security=insecure true", "hostnet": "RUN --network=host true"} {
		log := &lines{}
		s.refused(t, request(t, id, source(t, map[string]string{"Dockerfile": "# syntax=docker/dockerfile:1-labs\nFROM base\n" + step + "\n"}), log), model.KindInvalid, "")
	}
	s.clean(t)
}

// TestHostFiles tries to bring files of the host into a build.
func TestHostFiles(t *testing.T) {
	s := newSite(t, nil)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := source(t, map[string]string{"sub/inside": "of the source"})
	for name, target := range map[string]string{
		"absolute": filepath.Join(outside, "secret"), "folder": outside, "climbing": "../../../../../../../../" + filepath.Join(outside, "secret"), "good": "sub/inside", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for id, text := range map[string]string{
		"climbing":     "COPY ../../../../../../.." + outside + "/secret /x\nRUN cat /x\n",
		"absolute":     "COPY " + outside + "/secret /x\nRUN cat /x\n",
		"link":         "COPY absolute /x\nRUN cat /x\n",
		"climbinglink": "COPY climbing /x\nRUN cat /x\n",
		"folder":       "COPY folder/secret /x\nRUN cat /x\n",
		"add":          "ADD folder /x\nRUN cat /x/secret\n",
		"bind":         "RUN --mount=type=bind,source=folder,target=/x cat /x/secret\n",
		"bindup":       "RUN --mount=type=bind,source=../../../../.." + outside + ",target=/x cat /x/secret\n",
		"loop":         "COPY loop/x /x\n",
		"cachefrom":    "RUN --mount=type=cache,target=/x,source=../../../../../../.." + outside + " cat /x/secret\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(tools+text), 0o644); err != nil {
			t.Fatal(err)
		}
		log := &lines{}
		s.refused(t, request(t, "f-"+id, dir, log), model.KindInvalid, "")
		if strings.Contains(log.text(), "of the host") {
			t.Errorf("%s: a file of the host was read:\n%s", id, log.text())
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(tools+"COPY . /all\nRUN cat /all/good && ls -l /all\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	if _, err := s.builder.Build(t.Context(), request(t, "all", dir, log)); err != nil || !strings.Contains(log.text(), "of the source") {
		t.Errorf("links inside the source: %v\n%s", err, log.text())
	}
	// The list of what is left out is a link to something without end.
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "Dockerfile.dockerignore")); err != nil {
		t.Fatal(err)
	}
	_, err := s.builder.Build(t.Context(), request(t, "zero", dir, &lines{}))
	if model.KindOf(err) != model.KindInvalid {
		t.Errorf("a .dockerignore without end: %v", err)
	}
	s.clean(t)
}

// TestSecretsStayOut looks for a secret everywhere on the box once it was used.
func TestSecretsStayOut(t *testing.T) {
	s := newSite(t, nil)
	const secret = "correct-horse-battery-staple"
	log := &lines{}
	r := request(t, "s1", source(t, map[string]string{"Dockerfile": tools + `RUN --mount=type=secret,id=key,env=KEY test "$KEY" = "$(cat /run/secrets/key)"; echo "$KEY" >&2; printf %s "$KEY$KEY"; echo; yes x | head -c 8185 | tr -d '\n'; printf %s "$KEY"; yes x | head -c 100000 | tr -d '\n'
RUN ls -la /run/secrets; true
`}), log)
	r.Secrets = map[string][]byte{"key": []byte(secret), "longer": []byte(secret + "-and-more"), "short": []byte("correct-horse")}
	if _, err := s.builder.Build(t.Context(), r); err != nil {
		t.Fatalf("%v\n%s", err, log.text())
	}
	r.ID, r.Log, r.Dir = "s2", log.add, source(t, map[string]string{"Dockerfile": tools + "RUN --mount=type=secret,id=longer cat /run/secrets/longer; exit 3\n"})
	r.Plan.Dockerfile = tools + "RUN --mount=type=secret,id=longer cat /run/secrets/longer; exit 3\n"
	_, err := s.builder.Build(t.Context(), r)
	var e *model.Error
	if !errors.As(err, &e) || strings.Contains(e.What+e.Why, "horse") || !strings.Contains(e.Why, "•") {
		t.Errorf("the error is %v, %s", err, e.Why)
	}
	whole := strings.ReplaceAll(log.text(), "\n", "")
	for _, part := range []string{"horse", "battery", "and-more"} {
		if strings.Contains(whole, part) {
			t.Errorf("%q is in the log:\n%s", part, log.text())
		}
	}
	found := s.search(t, secret)
	if len(found) != 0 {
		t.Errorf("the secret is in %v", found)
	}
}

// TestBounded looks at the bounds of a build while it runs, and that they hold.
func TestBounded(t *testing.T) {
	s := newSite(t, func(c *build.Config) {
		c.Limits = model.Limits{Memory: 256 << 20, Pids: 64, MilliCPU: 500}
		c.Deadline = 20 * time.Second
	})
	log := &lines{}
	r := request(t, "b1", source(t, map[string]string{"Dockerfile": tools + `RUN echo begun; for i in 1 2 3 4; do while :; do :; done & done; sleep 3; kill %1 %2 %3 %4; echo ended
RUN n=0; for i in $(seq 200); do sleep 5 & n=$((n+1)); done; echo started $n
`}), log)
	began := make(chan struct{})
	r.Log = func(l build.Line) {
		log.add(l)
		if l.Text == "begun" {
			close(began)
		}
	}
	done := make(chan error, 1)
	go func() { _, err := s.builder.Build(t.Context(), r); done <- err }()
	select {
	case <-began:
	case err := <-done:
		t.Fatalf("%v\n%s", err, log.text())
	}
	s.bounds(t)
	for deadline := time.Now().Add(10 * time.Second); len(s.processes(t)) < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the build is not in its control group")
		}
	}
	from, at := s.cpu(t), time.Now()
	time.Sleep(1500 * time.Millisecond) // the measure itself
	if part := float64(s.cpu(t)-from) / float64(time.Since(at)); part > 0.65 || part < 0.1 {
		t.Errorf("the build uses %.2f of a core, and may 0.5", part)
	}
	err := <-done
	if text := log.text(); err == nil || strings.Contains(text, "started 200") {
		t.Errorf("200 processes where 64 may be: %v\n%s", err, text)
	}
	greedy := source(t, map[string]string{"Dockerfile": "FROM base\nRUN /bin/busybox dd if=/dev/zero of=/dev/null bs=1500M count=1\n"})
	s.refused(t, request(t, "m1", greedy, &lines{}), model.KindInvalid, "memory")
	s.clean(t)
}

// bounds insists on the limits of the builds' control group.
func (s *site) bounds(t *testing.T) {
	t.Helper()
	want := map[string]string{
		"memory/memory.limit_in_bytes": "268435456", "pids/pids.max": "64", "cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000",
	}
	if unified() {
		want = map[string]string{"/memory.max": "268435456", "/pids.max": "64", "/cpu.max": "50000 100000"}
	}
	for file, want := range want {
		hierarchy, name, _ := strings.Cut(file, "/")
		b, err := os.ReadFile(filepath.Join(s.group(hierarchy), name))
		if got := strings.TrimSpace(string(b)); got != want {
			t.Errorf("%s is %q, want %s (%v)", file, got, want, err)
		}
	}
}

// cpu is the time that builds have taken of the cores.
func (s *site) cpu(t *testing.T) time.Duration {
	t.Helper()
	file, format, unit := "cpuacct.usage", "%d", time.Nanosecond
	if unified() {
		file, format, unit = "cpu.stat", "usage_usec %d", time.Microsecond
	}
	b, err := os.ReadFile(filepath.Join(s.group("cpuacct"), file))
	if err != nil {
		t.Fatal(err)
	}
	var n time.Duration
	if _, err := fmt.Sscanf(string(b), format, &n); err != nil {
		t.Fatalf("%s says %q", file, b)
	}
	return n * unit
}

// TestCachesAreApart has builds of another look for what one left in a cache mount, and in a layer.
func TestCachesAreApart(t *testing.T) {
	s := newSite(t, nil)
	const mount = "RUN --mount=type=cache,target=/c"
	for _, one := range []struct{ id, caches, step, says string }{
		{"c1", "org-a", mount + " echo poison >/c/left; echo saw $(cat /c/left)", "saw poison"},
		{"c2", "org-a", mount + " echo again; echo saw $(cat /c/left)", "saw poison"},
		{"c3", "org-b", mount + " echo saw $(cat /c/left)", "saw"},
		{"c4", "org-b", mount + ",id=../org-a//c echo saw $(cat /c/left)", "saw"},
		{"l1", "org-a", mount + ",id=mine echo ran >/layer; echo ran", "ran"},
		{"l2", "org-a", mount + ",id=mine echo ran >/layer; echo ran", "cached"},
		{"l3", "org-b", mount + ",id=mine echo ran >/layer; echo ran", "ran"},
	} {
		log := &lines{}
		r := request(t, one.id, source(t, map[string]string{"Dockerfile": tools + one.step + "\n"}), log)
		r.Caches, r.Args = one.caches, map[string]string{"BUILDKIT_CACHE_MOUNT_NS": "org-a", "BUILDKIT_SANDBOX_HOSTNAME": "org-a"}
		if _, err := s.builder.Build(t.Context(), r); err != nil {
			t.Fatalf("%v\n%s", err, log.text())
		}
		if !regexp.MustCompile(`(?m)^\[stage-0 3/3\]\|` + one.says + `$`).MatchString(log.text()) {
			t.Errorf("%s does not say %q:\n%s", one.id, one.says, log.text())
		}
	}
	s.clean(t)
}

// TestDiskRate has steps write more than they may in a second, with and without a network.
func TestDiskRate(t *testing.T) {
	const rate, size = 4 << 20, 12 // bytes a second, MiB
	s := newSite(t, func(c *build.Config) { c.DiskRate = rate })
	if at, err := s.runtime.BuildSite(t.Context(), model.Limits{}); err != nil || at.Disk == "" {
		t.Fatalf("%s is on no disk that can be bounded (%v); run the tests where TMPDIR is on one", s.dir, err)
	}
	for name, flag := range map[string]string{"network": "", "offline": "--network=none "} {
		said := s.printed(t, name, tools+fmt.Sprintf("RUN %sbegan=$(cut -d. -f1 /proc/uptime); dd if=/dev/zero of=/%s bs=1M count=%d conv=fsync; echo took $(($(cut -d. -f1 /proc/uptime)-began)) seconds\n", flag, name, size))
		if !regexp.MustCompile(`took ([2-9]|[1-9][0-9]+) seconds`).MatchString(said) { // 3 when nothing else is in the way
			t.Errorf("%s: %d MiB at %d bytes a second:\n%s", name, size, rate, said)
		}
	}
	s.clean(t)
}

// TestFullDisk builds on a disk of its own that a build fills.
func TestFullDisk(t *testing.T) {
	s := newSiteOn(t, 600<<20, func(c *build.Config) {
		c.FreeMin = 200 << 20
		c.Limits.Memory = 2 << 30 // the disk is in memory, which counts as that of who writes
	}, os.Args[0], "containerd")
	for id, step := range map[string]string{
		"fast":   "RUN dd if=/dev/zero of=/big bs=1M count=2000",
		"slow":   "RUN i=0; while :; do dd if=/dev/zero of=/big$i bs=1M count=10 2>/dev/null; i=$((i+1)); sleep 0.05; done",
		"inodes": "RUN mkdir /many; i=0; while :; do : >/many/$i; i=$((i+1)); done 2>/dev/null",
		"copy":   "RUN i=0; while :; do /bin/busybox cp /bin/busybox /b$i || exit 1; i=$((i+1)); done",
	} {
		s.refused(t, request(t, id, source(t, map[string]string{"Dockerfile": tools + step + "\n"}), &lines{}), model.KindNoSpace, "")
		s.clean(t)
		for end := time.Now().Add(30 * time.Second); s.free(t) < 350<<20 || s.inodes(t) < testInodes/2; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d MB and %d inodes are left long after", id, s.free(t)>>20, s.inodes(t))
			}
		}
	}
	s.printed(t, "after", tools+"RUN echo fine\n")
}

// unwilling is a host that takes no image.
type unwilling struct{ build.Host }

func (unwilling) AdoptImage(context.Context, string) (model.Image, error) {
	return model.Image{}, errors.New("no image is taken")
}

// TestNoImageIsLeft has builds end between BuildKit's last step and ours.
func TestNoImageIsLeft(t *testing.T) {
	s := newSite(t, func(c *build.Config) { c.Host = unwilling{c.Host} })
	dir := source(t, map[string]string{"Dockerfile": tools + "RUN echo x >/x\n"})
	if _, err := s.builder.Build(t.Context(), request(t, "kept", dir, &lines{})); err == nil || !strings.Contains(err.Error(), "no image is taken") {
		t.Errorf("the build ends with %v", err)
	}
	s.clean(t)
}

// TestAddIsConfined has BuildKit itself fetch what a step may not reach.
func TestAddIsConfined(t *testing.T) {
	s := newSite(t, nil)
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			hosts = append(hosts, n.IP.String())
		}
	}
	for i, host := range hosts {
		add := fmt.Sprintf("FROM base\nADD http://%s:%d/ /x\n", host, l.Addr().(*net.TCPAddr).Port)
		s.refused(t, request(t, fmt.Sprintf("add%d", i), source(t, map[string]string{"Dockerfile": add}), &lines{}), model.KindInvalid, "may not reach")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the box was asked %d times", n)
	}
}

func (s *site) inodes(t *testing.T) uint64 {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Join(s.dir, "data"), &fs); err != nil {
		t.Fatal(err)
	}
	return fs.Ffree
}

func (s *site) free(t *testing.T) int64 {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Join(s.dir, "data"), &fs); err != nil {
		t.Fatal(err)
	}
	return int64(fs.Bavail) * fs.Bsize
}

// TestPrintsAGigabyte builds what prints more than anybody reads.
func TestPrintsAGigabyte(t *testing.T) {
	s := newSite(t, func(c *build.Config) { c.LogMax = 1 << 20 })
	before := rss(t)
	log := s.printed(t, "p1", tools+"RUN yes 'a line of a program that talks too much' | head -c 1000000000; echo; echo done >&2\n")
	if len(log) > 1<<20+4096 {
		t.Errorf("a log of %d bytes", len(log))
	}
	if after := rss(t); after-before > 200<<20 {
		t.Errorf("the daemon grew from %d to %d MB", before>>20, after>>20)
	}
}

func rss(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// TestManySteps builds a Dockerfile longer than any that people write.
func TestManySteps(t *testing.T) {
	s := newSite(t, nil)
	dir := source(t, map[string]string{"Dockerfile": "FROM base\n" + strings.Repeat("RUN true\n", 100000)})
	s.refused(t, request(t, "m1", dir, &lines{}), model.KindInvalid, "steps")
	s.clean(t)
}

// TestKilledBuildKit kills BuildKit in the middle of a build.
func TestKilledBuildKit(t *testing.T) {
	s := newSite(t, nil)
	for i := range 3 {
		err := s.interrupted(t, "k"+strconv.Itoa(i), "buildkitd")
		if model.KindOf(err) != model.KindUnavailable {
			t.Errorf("killed: %v", err)
		}
		s.clean(t)
	}
	if log := s.printed(t, "after", tools+"RUN echo fine\n"); !strings.Contains(log, "fine") {
		t.Error(log)
	}
}

// TestKilledContainerd kills containerd in the middle of a build.
func TestKilledContainerd(t *testing.T) {
	s := newSite(t, nil)
	err := s.interrupted(t, "k", "containerd")
	if err == nil {
		t.Error("the build succeeded")
	}
	t.Log(err)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		log := &lines{}
		_, err := s.builder.Build(t.Context(), request(t, "after", source(t, map[string]string{"Dockerfile": tools + "RUN echo fine\n"}), log))
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v\n%s", err, log.text())
		}
	}
	s.clean(t)
}

// interrupted kills a child of this process while it builds, and returns how the build ended.
func (s *site) interrupted(t *testing.T, id, child string) error {
	t.Helper()
	log := &lines{}
	r := request(t, id, source(t, map[string]string{"Dockerfile": tools + "RUN echo begun " + id + "; while :; do sleep 1; done\n"}), log)
	r.Log = func(l build.Line) {
		log.add(l)
		if l.Text == "begun "+id {
			if err := syscall.Kill(s.child(t, child), syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	began := time.Now()
	_, err := s.builder.Build(ctx, r)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to see that %s is gone\n%s", took, child, log.text())
	}
	return err
}

// child returns the process of this box that runs a part.
func (s *site) child(t *testing.T, part string) int {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		b, _ := os.ReadFile(name)
		if words := strings.Split(string(b), "\x00"); len(words) > 2 && words[1] == part && strings.Contains(string(b), s.dir+"/") {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			return pid
		}
	}
	t.Errorf("there is no %s", part)
	return 0
}

// TestCacheBudget builds more than the cache may hold: what is oldest goes.
func TestCacheBudget(t *testing.T) {
	const budget = 100 << 20
	s := newSite(t, func(c *build.Config) { c.CacheMax = budget; c.FreeMin = 1; c.Idle = time.Millisecond })
	for i := range 6 {
		s.printed(t, "b"+strconv.Itoa(i), tools+fmt.Sprintf("RUN head -c 40000000 /dev/urandom >/big; echo %d >/small\nFROM base\nCOPY --from=0 /small /\n", i))
		for end := time.Now().Add(20 * time.Second); s.builder.Running(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("BuildKit is not stopped when idle")
			}
		}
	}
	size, err := s.builder.CacheSize(t.Context())
	if err != nil || size > budget+60<<20 {
		t.Errorf("the cache holds %d MB, %v", size>>20, err)
	}
	if freed, err := s.builder.Prune(t.Context()); err != nil || freed < 40000000 {
		t.Fatalf("%d bytes were freed, %v", freed, err)
	}
	if size, err := s.builder.CacheSize(t.Context()); err != nil || size > 1<<20 {
		t.Errorf("pruned, the cache holds %d MB, %v", size>>20, err)
	}
}
