//go:build linux

package build_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/build"
	"github.com/pandabox/pandabox/pkg/build/plan"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/test/ociimage"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "containerd":
			os.Exit(runtime.ChildMain(os.Args[2:]))
		case "buildkitd":
			os.Exit(build.ChildMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// host makes a build.Host of the runtime, as the daemon does.
type host struct{ *runtime.Runtime }

func (h host) Site(ctx context.Context, l model.Limits) (build.Site, error) {
	s, err := h.BuildSite(ctx, l)
	return build.Site(s), err
}

// site is a box that builds.
type site struct {
	runtime *runtime.Runtime
	builder *build.Builder
	dir     string
}

func newSite(t *testing.T, change func(*build.Config)) *site {
	return newSiteOn(t, 0, change, os.Args[0], "containerd")
}

// testInodes is how many inodes the disk of a site has.
const testInodes = 60000

// newSiteOn makes a site whose data is on a disk of its own, of so many bytes, 0 means the machine's, and whose containerd
// is started by a command.
func newSiteOn(t *testing.T, disk int64, change func(*build.Config), engine ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pbb-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if disk > 0 {
		data := filepath.Join(dir, "data")
		if err := errors.Join(os.Mkdir(data, 0o711), unix.Mount("none", data, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d,mode=711", disk, testInodes))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(data, 0); err != nil {
				t.Error(err)
			}
		})
	}
	rt, err := runtime.New(t.Context(), runtime.Config{
		DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), ChildCommand: engine,
		Subnet: netip.MustParsePrefix("10.86.0.0/16"), Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Shutdown(context.WithoutCancel(t.Context()), time.Minute); err != nil {
			t.Error(err)
		}
	})
	c := build.Config{
		DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), ChildCommand: []string{os.Args[0], "buildkitd"}, Host: host{rt},
		Limits: model.Limits{Memory: 512 << 20, Pids: 200, MilliCPU: 2000},
	}
	if change != nil {
		change(&c)
	}
	b, err := build.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	s := &site{runtime: rt, builder: b, dir: dir}
	s.base(t)
	return s
}

// base brings an image with busybox to the box, called base.
func (s *site) base(t *testing.T) {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("install busybox-static: %v", err)
	}
	var b bytes.Buffer
	if _, err := ociimage.Write(&b, ociimage.Spec{Files: map[string]ociimage.File{
		"/bin/busybox": {Data: busybox, Mode: 0o755}, "/bin/sh": {Data: busybox, Mode: 0o755}, "/etc/passwd": {Data: []byte("root:x:0:0::/:/bin/sh\n")},
	}}); err != nil {
		t.Fatal(err)
	}
	s.name(t, &b, "base:latest")
}

// name brings an image to the box, under the name that Dockerfiles use.
func (s *site) name(t *testing.T, archive io.Reader, name string) {
	t.Helper()
	img, err := s.runtime.Import(t.Context(), archive)
	if err != nil {
		t.Fatal(err)
	}
	c := s.containerd(t)
	ctx := namespaces.WithNamespace(t.Context(), "pandabox")
	rec, err := c.ImageService().Get(ctx, img.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ImageService().Create(ctx, images.Image{Name: "docker.io/library/" + name, Target: rec.Target}); err != nil {
		t.Fatal(err)
	}
}

// containerd is a client of the box's own.
func (s *site) containerd(t *testing.T) *containerd.Client {
	t.Helper()
	c, err := containerd.New(filepath.Join(s.dir, "run", "containerd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// bases brings the bases of languages to the box.
func (s *site) bases(t *testing.T, languages ...string) {
	t.Helper()
	cache, err := ociimage.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	all, err := ociimage.Bases(t.Context(), cache, languages...)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		f, err := os.Open(b.Archive)
		if err != nil {
			t.Fatal(err)
		}
		s.name(t, f, b.Name)
		_ = f.Close()
	}
}

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	all []build.Line
}

func (l *lines) add(x build.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, x)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, x := range l.all {
		b.WriteString(x.Step + "|" + x.Text + "\n")
	}
	return b.String()
}

func source(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func request(t *testing.T, id, dir string, log *lines) build.Request {
	t.Helper()
	p, err := plan.Detect(os.DirFS(dir), plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return build.Request{ID: id, Org: "default", Dir: dir, Plan: p, Log: log.add}
}

const dockerfile = `FROM base AS build
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ARG WHO=world
RUN --mount=type=secret,id=key echo "hello $WHO, the key is $(cat /run/secrets/key)" && echo "hello $WHO" > /greeting
FROM base
COPY --from=build /greeting /greeting
COPY app.txt /app.txt
EXPOSE 8080
CMD ["/bin/busybox", "cat", "/greeting"]
`

func TestBuild(t *testing.T) {
	s := newSite(t, func(c *build.Config) { c.Idle = 100 * time.Millisecond })
	if s.builder.Running() {
		t.Error("BuildKit runs before the first build")
	}
	dir := source(t, map[string]string{"Dockerfile": dockerfile, "app.txt": "one"})
	log := &lines{}
	r := request(t, "b1", dir, log)
	r.Secrets = map[string][]byte{"key": []byte("hunter2hunter2")}
	r.Args = map[string]string{"WHO": "panda"}
	res, err := s.builder.Build(t.Context(), r)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.text())
	}
	t.Log(log.text(), res)
	if res.Image.Digest == "" || res.Image.Config == nil || len(res.Image.Config.Ports) != 1 {
		t.Errorf("the image is %+v", res.Image)
	}
	if text := log.text(); !strings.Contains(text, "hello panda, the key is •••••") || strings.Contains(text, "hunter2") {
		t.Errorf("the log is\n%s", text)
	}
	var out bytes.Buffer
	spec := model.ContainerSpec{
		Name: "w1-run", Image: res.Image.Digest, Replica: model.Replica{Role: model.RoleOneOff, WorkloadID: "w1", EnvID: "e1", App: "a", Process: "run", Index: 1},
		Limits: model.Limits{Memory: 64 << 20, Pids: 10},
	}
	code, err := s.runtime.Run(t.Context(), spec, model.ExecSpec{Stdout: &out, Command: []string{"/bin/busybox", "cat", "/greeting"}})
	if err != nil || code != 0 || out.String() != "hello panda\n" {
		t.Errorf("the built image answers %q, code %d, %v", out.String(), code, err)
	}
	again := &lines{}
	r.ID, r.Log = "b2", again.add
	res2, err := s.builder.Build(t.Context(), r)
	if err != nil || res2.Image.Digest != res.Image.Digest || res2.Cached == 0 {
		t.Errorf("built again: %+v, %v\n%s", res2, err, again.text())
	}
	for end := time.Now().Add(20 * time.Second); s.builder.Running(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("BuildKit is not stopped when idle")
		}
	}
}

func TestFailures(t *testing.T) {
	s := newSite(t, nil)
	for name, c := range map[string]struct {
		dockerfile string
		kind       model.Kind
		says       string
	}{
		"broken":       {"FROM base\nRUNN x\n", model.KindInvalid, "Dockerfile"},
		"fails":        {"FROM base\nRUN echo before; echo the reason; exit 7\n", model.KindInvalid, "the reason"},
		"missing file": {"FROM base\nCOPY nothing /\n", model.KindInvalid, "nothing"},
		"missing dir":  {"FROM base AS one\nFROM base\nCOPY --from=one /dist /\n", model.KindInvalid, "the build has not made dist"},
		"beside":       {"FROM base AS one\nRUN for i in 1 2 3 4 5; do echo $i; done; /bin/busybox sleep 100\nFROM base AS two\nRUN /bin/busybox sleep 1; echo the reason; exit 7\nFROM base\nCOPY --from=one / /one\nCOPY --from=two / /two\n", model.KindInvalid, "sleep 1; echo"},
		"no address":   {"FROM base\nADD http://nowhere.invalid/x /\n", model.KindInvalid, "cannot fetch what it adds"},
		"git":          {"FROM base\nADD https://nowhere.invalid/x.git#0123456789012345678901234567890123456789 /\n", model.KindInvalid, "cannot fetch what it adds"},
		"missing base": {"FROM nowhere.invalid/base:1\n", model.KindUnavailable, "base image"},
	} {
		log := &lines{}
		_, err := s.builder.Build(t.Context(), request(t, "f-"+strings.ReplaceAll(name, " ", "-"), source(t, map[string]string{"Dockerfile": c.dockerfile}), log))
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(e.Error(), c.says) || e.Hint == "" {
			t.Errorf("%s: %v\n%s", name, err, log.text())
		}
	}
}

func TestBounds(t *testing.T) {
	s := newSite(t, func(c *build.Config) { c.Deadline = 4 * time.Second; c.LogMax = 64 << 10 })
	for name, step := range map[string]string{
		"prints without end": "/bin/busybox yes",
		"forks without end":  "b() { b | b & }; b; while :; do :; done",
		"sleeps":             "/bin/busybox sleep 1000",
	} {
		log := &lines{}
		id := "e-" + strings.ReplaceAll(name, " ", "-")
		_, err := s.builder.Build(t.Context(), request(t, id, source(t, map[string]string{"Dockerfile": "FROM base\nRUN " + step + "\n"}), log))
		if model.KindOf(err) != model.KindTimeout {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(log.text()); n > 64<<10+200 {
			t.Errorf("%s: a log of %d bytes", name, n)
		}
	}
}

func TestCancelKills(t *testing.T) {
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	log := &lines{}
	r := request(t, "c1", source(t, map[string]string{"Dockerfile": "FROM base\nRUN echo begun; trap '' TERM INT; while :; do /bin/busybox sleep 1; done\n"}), log)
	r.Log = func(l build.Line) {
		log.add(l)
		if l.Text == "begun" {
			cancel()
		}
	}
	began := time.Now()
	_, err := s.builder.Build(ctx, r)
	if model.KindOf(err) != model.KindCanceled {
		t.Fatalf("canceled: %v\n%s", err, log.text())
	}
	t.Log("canceled after", time.Since(began))
	if left := s.processes(t); len(left) != 0 {
		t.Errorf("processes left: %v", left)
	}
	log = &lines{}
	if _, err := s.builder.Build(t.Context(), request(t, "c2", source(t, map[string]string{"Dockerfile": "FROM base\nCMD [\"x\"]\n"}), log)); err != nil {
		t.Errorf("the next build: %v\n%s", err, log.text())
	}
}

// TestOtherMountNamespace builds where containerd does not see what is mounted here: systemd gives a daemon that it
// restarts a mount namespace of its own, while containerd stays in that of the daemon before.
func TestOtherMountNamespace(t *testing.T) {
	s := newSiteOn(t, 0, nil, "unshare", "--mount", "--propagation", "private", os.Args[0], "containerd")
	for i, want := range []string{"the source\nfirst", "the source\nfirst second"} {
		dir := source(t, map[string]string{"app.txt": "the source", "Dockerfile": tools + `RUN --mount=type=bind,target=/src --mount=type=cache,target=/kept cat /src/app.txt; echo; ` +
			[]string{"echo -n first", "echo -n ' second'"}[i] + " >>/kept/it; cat /kept/it; echo\n"})
		log := &lines{}
		if _, err := s.builder.Build(t.Context(), request(t, "n"+want[len(want)-3:], dir, log)); err != nil {
			t.Fatalf("%v\n%s", err, log.text())
		}
		if text := strings.ReplaceAll(log.text(), "[stage-0 3/3]|", ""); !strings.Contains(text, want+"\n") {
			t.Errorf("the build does not say %q:\n%s", want, log.text())
		}
	}
	s.clean(t)
}

func TestSite(t *testing.T) {
	s := newSite(t, nil)
	dir := source(t, map[string]string{"index.html": "home"})
	log := &lines{}
	r := build.Request{ID: "s1", Org: "default", Dir: dir, Log: log.add, Plan: &plan.Plan{
		Path: "test", Dockerfile: "FROM base AS build\nWORKDIR /site\nCOPY . .\nRUN /bin/busybox mkdir out && /bin/busybox cp index.html out/\n", Output: "/site/out",
	}}
	var out bytes.Buffer
	r.Output = &out
	if _, err := s.builder.Build(t.Context(), r); err != nil {
		t.Fatalf("%v\n%s", err, log.text())
	}
	in := tar.NewReader(&out)
	h, err := in.Next()
	if err != nil || h.Name != "index.html" {
		t.Fatalf("the archive begins with %v, %v", h, err)
	}
	if b, err := io.ReadAll(in); err != nil || string(b) != "home" {
		t.Errorf("index.html is %q, %v", b, err)
	}
}
