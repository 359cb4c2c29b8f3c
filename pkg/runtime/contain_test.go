package runtime_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// hasProcess tells whether any process on the box has this command line.
func hasProcess(t *testing.T, line string) bool {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		b, _ := os.ReadFile(p)
		if strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " ")) == line {
			return true
		}
	}
	return false
}

func TestContained(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	spec := boxtest.Spec(img, 1)
	spec.Limits = model.Limits{Memory: 64 << 20, Pids: 40, MilliCPU: 250}
	c, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	status := get(t, c, "/status")
	for _, want := range []string{"CapBnd:\t00000000000004fb\n", "CapInh:\t0000000000000000\n", "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the app's status lacks %q", want)
		}
	}
	if ids := strings.Fields(get(t, c, "/read?path=/proc/self/uid_map")); len(ids) != 3 || ids[1] == "0" {
		t.Errorf("its users are the box's: %v", ids)
	}
	if st, err := os.Stat(filepath.Join("/proc", itoa(c.Pid))); err != nil || st.Sys().(*syscall.Stat_t).Uid == 0 {
		t.Errorf("its root is the box's root: %v", err)
	}
	if got := get(t, c, "/write?path=/proc/sys/kernel/hostname&text=x"); got == "" {
		t.Error("/proc/sys can be written")
	}
	if got := get(t, c, "/read?path=/proc/keys"); got != "" {
		t.Errorf("/proc/keys shows %q", got)
	}
	limit := get(t, c, "/read?path=/sys/fs/cgroup/memory/memory.limit_in_bytes") + get(t, c, "/read?path=/sys/fs/cgroup/memory.max")
	if !strings.Contains(limit, "67108864") {
		t.Errorf("the app cannot see its limit: %q", limit)
	}
	mounts := get(t, c, "/read?path=/proc/mounts")
	for _, want := range []string{" /sys sysfs ro,", " /proc/sys proc ro,", " /etc/resolv.conf ", " /dev/shm "} {
		if !strings.Contains(mounts, want) {
			t.Errorf("no mount %q in\n%s", want, mounts)
		}
	}
	if hosts := get(t, c, "/read?path=/etc/hosts"); !strings.Contains(hosts, c.Addr.String()+"\tshop-web") {
		t.Errorf("hosts: %q", hosts)
	}
	if names := get(t, c, "/lookup?name=shop.internal"); strings.TrimSpace(names) != c.Addr.String() {
		t.Errorf("shop.internal is %q, not %s", names, c.Addr)
	}
	usage, err := r.Usage(t.Context(), []string{c.Name, "never-was"})
	if err != nil || len(usage) != 1 {
		t.Fatalf("usage %+v, %v", usage, err)
	}
	u := usage[c.Name]
	if u.CPU <= 0 || u.Memory < 100<<10 || u.Memory > 64<<20 || u.Pids < 1 || u.Pids > 40 || u.RxBytes == 0 || u.TxBytes == 0 || u.At.IsZero() {
		t.Errorf("usage %+v", u)
	}
}

func TestVolume(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{User: "1000:1000"}))
	spec := boxtest.Spec(img, 1)
	spec.Mounts = []model.Mount{{Volume: "data", Path: "/storage"}}
	c, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	if msg := get(t, c, "/write?path=/storage/note&text=kept"); msg != "" {
		t.Fatalf("writing to the volume: %s", msg)
	}
	dir := filepath.Join(cfg.DataDir, "volumes", "w1", "data")
	for _, p := range []string{dir, filepath.Join(dir, "note")} {
		st, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if sys := st.Sys().(*syscall.Stat_t); sys.Uid != 1000 || sys.Gid != 1000 {
			t.Errorf("%s belongs to %d:%d", p, sys.Uid, sys.Gid)
		}
	}
	if err := r.Remove(t.Context(), c.Name, 0); err != nil {
		t.Fatal(err)
	}
	other := spec
	other.Replica.Index = 2
	other.Name = other.Replica.Name()
	c, err = r.Start(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the volume outlives its container", func() bool { return get(t, c, "/read?path=/storage/note") == "kept" })
	if err := r.Remove(t.Context(), c.Name, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "note")); err != nil || string(b) != "kept" {
		t.Errorf("reclaiming took a volume: %q, %v", b, err)
	}
	if err := r.Forget(t.Context(), "w1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("forgotten, but there: %v", err)
	}
}

func TestStop(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	const grace = 20 * time.Second
	index := 0
	for command, waits := range map[string]bool{"sleep": false, "deaf": false, "stubborn": true} {
		index++
		t.Run(command, func(t *testing.T) {
			spec := boxtest.Spec(img, index, "/app", command) // of its own, so that its log is
			c, err := r.Start(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			boxtest.Eventually(t, "it runs", func() bool { return hasProcess(t, "/app "+command) && logged(t, r, "w1", c.Name) > 0 })
			limit := grace
			if waits {
				limit = 300 * time.Millisecond
			}
			began := time.Now()
			if err := r.Remove(t.Context(), c.Name, limit); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); waits && took < limit || !waits && took >= grace {
				t.Errorf("removing took %s", took)
			}
			if hasProcess(t, "/app "+command) {
				t.Error("it runs on")
			}
		})
	}
}
