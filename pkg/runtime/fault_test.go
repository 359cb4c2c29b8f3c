package runtime_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// holdRuntime is a daemon that does nothing but have a runtime; TestMain runs it in a process of its own, so that it can
// be killed. It starts the container it is told to, and says so.
func holdRuntime(arg string) int {
	var in struct {
		Config runtime.Config
		Image  string
		Spec   model.ContainerSpec
		OneOff bool
	}
	err := json.Unmarshal([]byte(arg), &in)
	if err != nil {
		panic(err)
	}
	in.Config.Logger = zerolog.New(os.Stderr)
	ctx := context.Background()
	r, err := runtime.New(ctx, in.Config)
	if err != nil {
		panic(err)
	}
	f, err := os.Open(in.Image)
	if err != nil {
		panic(err)
	}
	img, err := r.Import(ctx, f)
	if err != nil {
		panic(err)
	}
	in.Spec.Image = img.Digest
	if in.OneOff {
		_, err = r.Run(ctx, in.Spec, model.ExecSpec{Stdout: os.Stdout})
		panic(err)
	}
	if _, err := r.Start(ctx, in.Spec); err != nil {
		panic(err)
	}
	fmt.Println("started")
	select {}
}

// killedDaemon starts a container from a daemon of its own and kills that.
func killedDaemon(t *testing.T, cfg runtime.Config, spec model.ContainerSpec, oneOff bool, attr ...*syscall.SysProcAttr) {
	t.Helper()
	arg, err := json.Marshal(map[string]any{"Config": map[string]any{
		"DataDir": cfg.DataDir, "RunDir": cfg.RunDir, "Subnet": cfg.Subnet, "ChildCommand": cfg.ChildCommand,
	}, "Image": runtimetest.Image(t, runtimetest.ImageSpec{}), "Spec": spec, "OneOff": oneOff})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "hold", string(arg))
	cmd.Stderr = os.Stderr
	for _, a := range attr {
		cmd.SysProcAttr = a
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the daemon said %q: %v", line, err)
	}
}

func enginePid(t *testing.T, cfg runtime.Config) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(cfg.RunDir, "containerd.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// hammer asks the container all the time until stop is called, which returns how many requests failed.
func hammer(c model.Container) (stop func() (failed, all int)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var failed, all int
	wg.Go(func() {
		for ctx.Err() == nil {
			resp, err := http.Get("http://" + c.Addr.String() + ":8080/up")
			if err == nil {
				err = resp.Body.Close()
			}
			all++
			if err != nil {
				failed++
			}
			time.Sleep(time.Millisecond)
		}
	})
	return func() (int, int) { cancel(); wg.Wait(); return failed, all }
}

func TestDaemonKilled(t *testing.T) {
	cfg := boxtest.Config(t)
	spec := boxtest.Spec(model.Image{}, 1)
	cfg.ChildCommand = []string{os.Args[0], "containerd"}
	killedDaemon(t, cfg, spec, false)
	engine := enginePid(t, cfg)
	r := boxtest.Start(t, cfg)
	if now := enginePid(t, cfg); now != engine {
		t.Errorf("containerd %d was replaced by %d instead of adopted", engine, now)
	}
	all, err := r.List(t.Context())
	if err != nil || len(all) != 1 || all[0].State != model.ContainerRunning || !all[0].Addr.IsValid() || all[0].Replica != spec.Replica {
		t.Fatalf("found %+v, %v", all, err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, all[0], "/up") != "" })
	if names := get(t, all[0], "/lookup?name=shop.internal"); strings.TrimSpace(names) != all[0].Addr.String() {
		t.Errorf("shop.internal is %q", names)
	}
	_ = get(t, all[0], "/crash?code=9")
	if e, err := r.Wait(t.Context(), spec.Name); err != nil || e.Code != 9 || !e.Known {
		t.Errorf("waited for %+v, %v", e, err)
	}
}

func TestCloseLeavesContainers(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	c, err := r.Start(t.Context(), boxtest.Spec(img, 1))
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	stop := hammer(c)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.List(t.Context()); model.KindOf(err) != model.KindUnavailable {
		t.Errorf("listing what is closed: %v", err)
	}
	r = boxtest.Reopen(t, cfg)
	all, err := r.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Pid != c.Pid || all[0].Addr != c.Addr || all[0].State != model.ContainerRunning {
		t.Errorf("found %+v, %v", all, err)
	}
	if failed, n := stop(); failed > 0 || n == 0 {
		t.Errorf("%d of %d requests failed meanwhile", failed, n)
	}
}

func TestContainerdKilled(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	c, err := r.Start(t.Context(), boxtest.Spec(img, 1))
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	waited := make(chan model.Exit, 1)
	go func() {
		e, err := r.Wait(t.Context(), c.Name)
		if err != nil {
			t.Errorf("waiting across a restart: %v", err)
		}
		waited <- e
	}()
	stop := hammer(c)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		events := r.Events(ctx)
		if err := syscall.Kill(enginePid(t, cfg), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-events
		if all, err := r.List(t.Context()); err != nil || len(all) != 1 || all[0].Pid != c.Pid || all[0].State != model.ContainerRunning {
			t.Fatalf("after the restart: %+v, %v", all, err)
		}
		cancel()
	}
	if failed, n := stop(); failed > 0 || n == 0 {
		t.Errorf("%d of %d requests failed meanwhile", failed, n)
	}
	_ = get(t, c, "/crash?code=5")
	if e := <-waited; e.Code != 5 || !e.Known {
		t.Errorf("waited for %+v", e)
	}
	second := boxtest.Spec(img, 2)
	if _, err := r.Start(t.Context(), second); err != nil {
		t.Error(err)
	}
}

func TestExitWhileContainerdIsDown(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	c, err := r.Start(t.Context(), boxtest.Spec(img, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r = boxtest.Reopen(t, cfg)
	e, err := r.Wait(t.Context(), c.Name)
	if err != nil || e.Known && e.Code != 137 || e.At.IsZero() {
		t.Errorf("waited for %+v, %v", e, err)
	}
	c, err = r.Start(t.Context(), boxtest.Spec(img, 1))
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "its replacement answers", func() bool { return get(t, c, "/up") != "" })
}

func TestReboot(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ChildCommand = []string{os.Args[0], "containerd"}
	cfg.ImageGrace = time.Nanosecond
	spec := boxtest.Spec(model.Image{}, 1)
	killedDaemon(t, cfg, spec, false)
	unplug(t, cfg)
	r := boxtest.Start(t, cfg)
	all, err := r.List(t.Context())
	if err != nil || len(all) != 1 || all[0].State != model.ContainerExited || all[0].Replica != spec.Replica || all[0].Addr.IsValid() {
		t.Fatalf("found %+v, %v", all, err)
	}
	spec.Image = boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{})).Digest
	c, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	if err := r.Remove(t.Context(), spec.Name, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

// unplug does what pulling the plug does: everything of the instance is gone at once but what is on disk.
func unplug(t *testing.T, cfg runtime.Config) {
	t.Helper()
	pids := []int{enginePid(t, cfg)}
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range exes {
		if exe, err := os.Readlink(l); err == nil && strings.HasPrefix(exe, cfg.DataDir+"/") {
			var pid int
			if _, err := fmt.Sscanf(l, "/proc/%d/exe", &pid); err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	group := "pandabox-" + runtime.InstanceID(cfg.DataDir) + "/*/cgroup.procs"
	v1, err := filepath.Glob("/sys/fs/cgroup/pids/" + group)
	if err != nil {
		t.Fatal(err)
	}
	v2, err := filepath.Glob("/sys/fs/cgroup/" + group)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(v1, v2...) {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			var pid int
			if _, err := fmt.Sscan(line, &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if len(pids) < 4 { // containerd, a shim, its log writer, the app
		t.Fatalf("found only %v to kill", pids)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	for _, pid := range pids {
		boxtest.Eventually(t, "everything is dead", func() bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(b), ") Z ")
		})
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	id := runtime.InstanceID(cfg.DataDir)
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, "pbx"+id) || strings.HasPrefix(l.Attrs().Name, "pbv"+id) {
			if err := netlink.LinkDel(l); err != nil && !errors.Is(err, syscall.ENODEV) {
				t.Fatal(err)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, cfg.RunDir+"/") || strings.HasPrefix(at, cfg.DataDir+"/") {
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(cfg.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(cfg.RunDir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneOffOfKilledDaemonIsRemoved(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ChildCommand = []string{os.Args[0], "containerd"}
	cfg.ImageGrace = time.Nanosecond
	spec := boxtest.Spec(model.Image{}, 1, "/app", "sleep")
	killedDaemon(t, cfg, spec, true)
	r := boxtest.Start(t, cfg)
	if all, err := r.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("found %+v, %v", all, err)
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

func TestSecondRuntimeRefused(t *testing.T) {
	cfg := boxtest.Config(t)
	boxtest.Start(t, cfg)
	if r, err := runtime.New(t.Context(), cfg); model.KindOf(err) != model.KindConflict {
		t.Errorf("%v, %v", r, err)
	}
}

func TestDiskFull(t *testing.T) {
	cfg := boxtest.Config(t)
	if err := unix.Mount("tmpfs", cfg.DataDir, "tmpfs", 0, "size=48m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(cfg.DataDir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	small := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	c, err := r.Start(t.Context(), boxtest.Spec(small, 1))
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	before, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 24<<20)
	for i := range noise {
		noise[i] = byte(i * 2654435761 >> 13)
	}
	big := runtimetest.Build(t, runtimetest.ImageSpec{Files: []runtimetest.File{{Path: "/big", Content: noise}}})
	_, err = r.Import(t.Context(), runtimetest.Tar(t, big.OCI()))
	if model.KindOf(err) != model.KindNoSpace {
		t.Errorf("%s: %v", model.KindOf(err), err)
	}
	after, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range after {
		if !slices.Contains(before, l) {
			t.Errorf("left behind: %s", l)
		}
	}
	// Not a byte left.
	filler := filepath.Join(cfg.DataDir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := noise; len(chunk) > 0; chunk = chunk[:len(chunk)/2] {
		for err = nil; err == nil; {
			_, err = f.Write(chunk)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	second := boxtest.Spec(small, 2)
	if _, err := r.Start(t.Context(), second); model.KindOf(err) != model.KindNoSpace {
		t.Errorf("started without space: %v", err)
	}
	if _, err := r.Import(t.Context(), runtimetest.Tar(t, big.OCI())); model.KindOf(err) != model.KindNoSpace {
		t.Errorf("imported without space: %v", err)
	}
	if all, err := r.List(t.Context()); err != nil || len(all) != 1 || all[0].State != model.ContainerRunning {
		t.Errorf("listed %+v, %v", all, err)
	}
	if get(t, c, "/up") == "" {
		t.Error("the app does not answer any more")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context(), second); err != nil {
		t.Errorf("starting with space again: %v", err)
	}
}

func TestHangingContainerdIsReplaced(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.CheckEvery = 500 * time.Millisecond
	cfg.Logger = zerolog.Nop()
	r := boxtest.Start(t, cfg)
	events := r.Events(t.Context())
	before := enginePid(t, cfg)
	if err := syscall.Kill(before, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-events
	if _, err := r.List(t.Context()); err != nil {
		t.Error(err)
	}
	if now := enginePid(t, cfg); now == before {
		t.Errorf("containerd %d is still the same", now)
	}
}

// Under systemd the daemon has a view of its own of the file system, and each restart a new one. What a shim mounted in
// an older view must neither be in the way nor stay.
func TestOtherMountNamespace(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ChildCommand = []string{os.Args[0], "containerd"}
	cfg.ImageGrace = time.Nanosecond
	spec := boxtest.Spec(model.Image{}, 1)
	killedDaemon(t, cfg, spec, false, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS})
	if err := syscall.Kill(enginePid(t, cfg), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r := boxtest.Start(t, cfg)
	all, err := r.List(t.Context())
	if err != nil || len(all) != 1 || all[0].State != model.ContainerRunning {
		t.Fatalf("found %+v, %v", all, err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, all[0], "/up") != "" })
	spec.Image = boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{})).Digest
	var out output
	if _, err := r.Exec(t.Context(), spec.Name, model.ExecSpec{Command: []string{"/app", "echo", "in"}, Stdout: &out}); err != nil || out.String() != "in\n" {
		t.Errorf("exec: %q, %v", out.String(), err)
	}
	if err := r.Remove(t.Context(), spec.Name, time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if err := r.Remove(t.Context(), spec.Name, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

// Commands outlive containerd, and so does what they read and write.
func TestCommandsSurviveContainerd(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.Logger = zerolog.Nop()
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	spec := boxtest.Spec(img, 1, "/app", "sleep")
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	oneOff := boxtest.Spec(img, 2)
	oneOff.Name = "once"
	for name, run := range map[string]func(model.ExecSpec) (int, error){
		"exec": func(x model.ExecSpec) (int, error) { return r.Exec(t.Context(), spec.Name, x) },
		"run":  func(x model.ExecSpec) (int, error) { return r.Run(t.Context(), oneOff, x) },
	} {
		t.Run(name, func(t *testing.T) {
			in, keys := io.Pipe()
			var out output
			type result struct {
				code int
				err  error
			}
			ended := make(chan result, 1)
			go func() {
				code, err := run(model.ExecSpec{Command: []string{"/app", "cat"}, Stdin: in, Stdout: &out})
				ended <- result{code, err}
			}()
			say := func(s string) {
				t.Helper()
				if _, err := io.WriteString(keys, s); err != nil {
					t.Fatal(err)
				}
				boxtest.Eventually(t, "it comes back", func() bool { return strings.HasSuffix(out.String(), s) })
			}
			say("before ")
			if err := syscall.Kill(enginePid(t, cfg), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			say("after")
			if err := keys.Close(); err != nil {
				t.Fatal(err)
			}
			if e := <-ended; e.err != nil || e.code != 0 || out.String() != "before after" {
				t.Errorf("code %d, %v, output %q", e.code, e.err, out.String())
			}
		})
	}
}

// Starting and removing get done however often containerd is killed meanwhile.
func TestContainerdKilledMeanwhile(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.Logger = zerolog.Nop()
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	for i := range 5 {
		spec := boxtest.Spec(img, i+1)
		after := time.Duration(i*25) * time.Millisecond // at another point of the work each time
		kill := func() *time.Timer {
			pid := enginePid(t, cfg)
			return time.AfterFunc(after, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		}
		k := kill()
		c, err := r.Start(t.Context(), spec)
		if err != nil {
			t.Errorf("starting, killed after %s: %v", after, err)
			continue
		}
		k.Stop()
		boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
		k = kill()
		if err := r.Remove(t.Context(), spec.Name, 10*time.Second); err != nil {
			t.Errorf("removing, killed after %s: %v", after, err)
		}
		k.Stop()
		if all, err := r.List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("killed after %s, left %+v, %v", after, all, err)
		}
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}
