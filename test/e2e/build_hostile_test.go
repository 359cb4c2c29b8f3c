package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// dockerfiles makes a folder of nothing but a Dockerfile.
func (w *world) dockerfiles(name string, lines ...string) *folder {
	return w.website(name, map[string]string{"Dockerfile": "FROM debian:bookworm-slim\n" + strings.Join(lines, "\n") + "\n"})
}

// building returns the processes that builds have in this box's control groups.
func (w *world) building() []string {
	w.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	for _, name := range all {
		if b, err := os.ReadFile(name); err == nil && bytes.Contains(b, []byte("/pandabox-"+w.instance+"-builds/")) {
			cmd, _ := os.ReadFile(filepath.Dir(name) + "/cmdline")
			out = append(out, strings.ReplaceAll(string(cmd), "\x00", " "))
		}
	}
	return out
}

// idle insists that no build has left a process, and that its mounts go.
func (w *world) idle(after string) {
	w.Helper()
	if left := w.building(); len(left) > 0 {
		w.Errorf("%s left processes: %q", after, left)
	}
	w.eventually("the end of the mounts of "+after, func() bool {
		return !slices.ContainsFunc(w.mounts(), func(m string) bool { return strings.Contains(m, "/build/") })
	})
}

// TestBuildsThatGoWrong deploys what cannot be built, or should not be, through the command line.
func TestBuildsThatGoWrong(t *testing.T) {
	w := start(t, box.Options{Extra: "[build]\ndeadline = \"8s\"\nmemory = \"512MB\"\ncpu = 1.5\n"})
	w.bases("debian")
	good := w.folder("good")
	good.run(0, nil, "deploy")
	for name, c := range map[string]struct {
		code  int
		lines []string
		says  []string
	}{
		"broken":    {1, []string{"RUNN true"}, []string{"the Dockerfile cannot be read", "RUNN", "try: "}},
		"failing":   {1, []string{"RUN echo the reason >&2; exit 7"}, []string{"exit 7", "the reason", "try: "}},
		"base":      {1, []string{"FROM nowhere.invalid/base:1"}, []string{"base image", "nowhere.invalid/base:1", "try: "}},
		"official":  {1, []string{"FROM golang:1.99"}, []string{"base image", "golang:1.99", "try: "}},
		"endless":   {1, []string{"RUN while :; do sleep 1; done"}, []string{"took longer than 8s", "try: "}},
		"forks":     {1, []string{"RUN b() { b | b & }; b; while :; do sleep 1; done"}, []string{"try: "}},
		"memory":    {1, []string{"RUN tail -c 2G /dev/zero"}, []string{"memory", "try: "}},
		"climbing":  {1, []string{"COPY ../../../etc/shadow /"}, []string{"etc/shadow", "try: "}},
		"nocommand": {1, []string{"RUN [\"/nothing\"]"}, []string{"/nothing", "try: "}},
		"insecure":  {1, []string{"RUN --security=insecure true"}, []string{"try: "}},
		"steps":     {1, []string{strings.Repeat("RUN true\n", 5000)}, []string{"5001 steps", "try: "}},
	} {
		began := time.Now()
		f := w.dockerfiles(name, c.lines...)
		r := f.run(c.code, nil, "deploy", "-a", name)
		for _, want := range c.says {
			if !strings.Contains(r.Err, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, r.Err)
			}
		}
		w.idle(name)
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
	loud := w.dockerfiles("loud", "RUN yes 'what nobody reads' | head -c 1000000000; echo end >&2", `CMD ["sleep", "1000"]`)
	loud.write("pandabox.toml", "app = \"loud\"\nkind = \"worker\"\n")
	// Whether a gigabyte is printed before the deadline is the machine's business.
	if r := loud.box.RunIn(t.Context(), loud.dir, "", "deploy", "-a", "loud"); len(r.Err) > 8<<20 || len(r.Err) < 100<<10 {
		t.Errorf("a gigabyte of output became a log of %d bytes", len(r.Err))
	}
	w.idle("loud")
	good.answers("good", "/", "good 1")
}

// TestBuildsAreAlone tries to reach from a build what apps and the box have.
func TestBuildsAreAlone(t *testing.T) {
	w := start(t)
	w.bases("debian")
	w.succeed("web", vars(w.image()))
	addr, _, _ := strings.Cut(w.status("web").Replicas[0].Addr, ":")
	port, err := w.listen()
	if err != nil {
		t.Fatal(err)
	}
	_, https, _ := strings.Cut(w.box.HTTPS, ":")
	tries := []string{addr + "/8080", "127.0.0.1/" + fmt.Sprint(port), "127.0.0.1/" + https, "169.254.169.254/80"}
	for _, gw := range w.gateways() {
		tries = append(tries, gw+"/"+fmt.Sprint(port), gw+"/"+https)
	}
	f := w.dockerfiles("spy", `SHELL ["/bin/bash", "-c"]`,
		"RUN for a in "+strings.Join(tries, " ")+"; do timeout 2 bash -c \"exec 3<>/dev/tcp/$a\" 2>/dev/null && echo REACHED $a; done; getent hosts web.internal && echo NAMED; find / -xdev -type s -printf 'SOCKET %p\\n' 2>/dev/null; echo tried",
		"RUN exit 9")
	r := f.run(1, nil, "deploy", "-a", "spy")
	for _, bad := range []string{"] REACHED", "] NAMED", "] SOCKET"} {
		if strings.Contains(r.Err, bad) {
			t.Errorf("a build could: %s", bad)
		}
	}
	if !strings.Contains(r.Err, "] tried") || t.Failed() {
		t.Errorf("it says\n%s", r.Err)
	}
	w.idle("spy")
}

// TestDaemonKilledUnderABuild kills the daemon, BuildKit and both under a build: the build begins again, once.
func TestDaemonKilledUnderABuild(t *testing.T) {
	w := start(t)
	w.bases("debian")
	f := w.dockerfiles("long", "RUN echo working; trap '' TERM; while :; do sleep 1; done")
	f.run(0, nil, "deploy", "-a", "long", "--detach")
	working := func() bool { return len(w.building()) > 0 }
	w.eventually("the build", working)
	for range 3 {
		if err := w.box.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := w.box.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.eventually("the build again", func() bool { return len(w.loops()) == 1 })
	}
	for _, pid := range pidsOf(t, func(c string) bool { return strings.Contains(c, " buildkitd ") && strings.Contains(c, w.box.Dir) }) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	w.eventually("the end of the orphan", func() bool { return len(w.loops()) == 0 })
	w.eventually("the build after BuildKit was killed", func() bool { return len(w.loops()) == 1 })
	w.cli(0, "builds", "cancel", "-a", "long")
	w.eventually("the end of the build", func() bool { return !working() })
	b, err := w.api.Build(t.Context(), ref("long"), "")
	if err != nil || b.State != model.BuildCanceled {
		t.Errorf("the build is %+v, %v", b, err)
	}
	w.idle("killing")
	w.dockerfiles("after", "CMD true").run(1, nil, "deploy", "-a", "after") // it is built, and does not serve
	if b, err := w.api.Build(t.Context(), ref("after"), ""); err != nil || b.State != model.BuildSucceeded {
		t.Errorf("the next build is %+v, %v", b, err)
	}
}

// loops returns the shells of builds that never end.
func (w *world) loops() []string {
	var out []string
	for _, c := range w.building() {
		if strings.Contains(c, "while :;") {
			out = append(out, c)
		}
	}
	return out
}

// TestQueuedBuilds cancels a build that waits for its turn, then the one it waits for.
func TestQueuedBuilds(t *testing.T) {
	w := start(t)
	w.bases("debian")
	w.dockerfiles("first", "RUN while :; do sleep 1; done").run(0, nil, "deploy", "-a", "first", "--detach")
	w.eventually("the first build", func() bool { return len(w.loops()) == 1 })
	w.dockerfiles("second", "RUN echo second; while :; do sleep 1; done").run(0, nil, "deploy", "-a", "second", "--detach")
	w.dockerfiles("third", "RUN echo third; exit 3").run(0, nil, "deploy", "-a", "third", "--detach")
	w.eventually("the log of the one that waits", func() bool { return strings.Contains(w.buildLog("second"), "waiting for") })
	w.cli(0, "builds", "cancel", "-a", "second")
	w.eventually("the end of the second", func() bool { return w.built("second").State == model.BuildCanceled })
	if len(w.loops()) != 1 {
		t.Errorf("running are %q", w.building())
	}
	w.cli(0, "builds", "cancel", "-a", "first")
	w.eventually("the end of the first", func() bool { return w.built("first").State == model.BuildCanceled })
	w.eventually("the end of the third", func() bool { return w.built("third").State == model.BuildFailed })
	if strings.Contains(w.buildLog("second"), "] second") {
		t.Error("the second was built")
	}
	w.idle("canceling")
}

func (w *world) built(app string) api.Build {
	w.Helper()
	b, err := w.api.Build(w.Context(), ref(app), "")
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w *world) buildLog(app string) string {
	w.Helper()
	var out strings.Builder
	err := w.api.BuildLog(w.Context(), ref(app), "", false, func(l model.BuildLine) error {
		out.WriteString(l.Step + " " + l.Text + "\n")
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return out.String()
}

// TestBuildFillsTheDisk has a build fill a small disk that all of the box is on.
func TestBuildFillsTheDisk(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "pbd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=5G,mode=711"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	w := start(t, box.Options{DataDir: filepath.Join(dir, "data")})
	w.bases("debian")
	w.succeed("web", vars(w.image()))
	f := w.dockerfiles("full", "RUN i=0; while :; do head -c 50000000 /dev/zero >/big$i || exit 1; i=$((i+1)); done")
	r := f.run(1, nil, "deploy", "-a", "full")
	if !strings.Contains(r.Err, "the build filled the disk") || !strings.Contains(r.Err, "try: ") {
		t.Errorf("it says\n%s", r.Err)
	}
	w.idle("filling the disk")
	w.eventually("the space", func() bool {
		var fs syscall.Statfs_t
		return syscall.Statfs(dir, &fs) == nil && int64(fs.Bavail)*fs.Bsize > 4<<30
	})
	w.succeed("web", vars(w.image(), "VERSION=2"))
	w.answers("web", "/", "web 2")
}
