package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// folder is an app's source in a git repository: testapp and a Dockerfile around it.
type folder struct {
	*world
	dir string
}

func (w *world) folder(name string) *folder {
	w.Helper()
	f := &folder{w, filepath.Join(w.TempDir(), name)}
	app, err := os.ReadFile(appBinary)
	if err != nil {
		w.Fatal(err)
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "testapp"), app, 0o755); err != nil {
		w.Fatal(err)
	}
	f.write(".gitignore", "secret.env\n")
	f.write("secret.env", "PASSWORD=1\n")
	f.dockerfile("1")
	f.git("init", "-q", "-b", "main")
	f.commit("The first")
	return f
}

func (f *folder) write(name, text string) {
	f.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
		f.Fatal(err)
	}
}

// dockerfile writes one whose image answers with a version, with more lines before the last.
func (f *folder) dockerfile(version string, lines ...string) {
	f.write("Dockerfile", "FROM scratch\nCOPY . /\nENV VERSION="+version+"\n"+strings.Join(append(lines, `CMD ["/testapp"]`), "\n")+"\n")
}

func (f *folder) git(args ...string) {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), "git", append([]string{"-C", f.dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (f *folder) commit(subject string) {
	f.Helper()
	f.git("add", ".")
	f.git("commit", "-qm", subject)
}

// run runs the CLI in the folder and insists on its exit code and on what it says along the way.
func (f *folder) run(code int, says []string, args ...string) box.Result {
	f.Helper()
	r := f.box.RunIn(f.Context(), f.dir, "", args...)
	if r.Code != code {
		f.Fatalf("pandabox %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Out, r.Err)
	}
	for _, want := range says {
		if !regexp.MustCompile("(?m)" + want).MatchString(r.Err) {
			f.Errorf("pandabox %s does not say %q:\n%s%s", strings.Join(args, " "), want, r.Out, r.Err)
		}
	}
	return r
}

// newest returns the newest build.
func (f *folder) newest() api.Build {
	f.Helper()
	b, err := f.api.Build(f.Context(), client.Ref{App: "shop"}, "")
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// gone is how long after its cancel a build may take to be gone from the box.
const gone = 2 * time.Second

// TestDeployOfAFolder is a day with an app that is built on the box.
func TestDeployOfAFolder(t *testing.T) {
	f := start(t).folder("shop")

	f.run(0, []string{`^  → shop, production$`, `^  ✓ upload    3 files, `, `^\[1/1\] COPY \. /$`, `^  ✓ build     Dockerfile, `, `^  ✓ start     web ×1 healthy on /up`}, "deploy")
	f.answers("shop", "/", "shop 1")
	r, err := f.api.Release(t.Context(), client.Ref{App: "shop"}, 1)
	if err != nil || r.Revision == nil || r.Revision.Subject != "The first" || r.Revision.Branch != "main" || r.Revision.Dirty {
		t.Fatalf("the release is of %+v, %v", r.Revision, err)
	}
	f.run(0, nil, "exec", "--", "/testapp", "echo", "built")

	f.dockerfile("2", `RUN ["/testapp", "echo", "a line of its own"]`)
	f.run(0, []string{`^\[2/2\] a line of its own$`}, "deploy", "-m", "a change")
	f.answers("shop", "/", "shop 2")
	if out := f.run(0, nil, "status").Out; !regexp.MustCompile(`(?m)^  code +[0-9a-f]{7}\+ The first, main$`).MatchString(out) {
		t.Errorf("status says\n%s", out)
	}
	if out := f.run(0, nil, "builds", "log").Out; !strings.Contains(out, "] a line of its own\n") {
		t.Errorf("the log is\n%s", out)
	}

	before := f.newest()
	f.run(0, nil, "rollback")
	f.answers("shop", "/", "shop 1")
	if b := f.newest(); b.ID != before.ID {
		t.Errorf("the rollback built %+v", b)
	}

	f.dockerfile("3", `RUN ["/testapp", "echo", "so far so good"]`, `RUN ["/testapp", "exit", "7"]`)
	f.run(5, []string{`so far so good$`, `^  ✗ build `, `^error: release v3 of shop could not be built, v1 is still serving$`, `^  the build failed at: RUN .*exit.*: it ended with code 7`}, "deploy")
	f.answers("shop", "/", "shop 1")
	if b := f.newest(); b.State != model.BuildFailed || b.Error == nil || b.Release != 3 {
		t.Errorf("the build that failed is %+v", b)
	}
	f.run(1, []string{`^  ✗ build `}, "deploy", "-a", "other")

	f.dockerfile("4")
	if out := f.run(0, nil, "deploy", "--detach").Out; !strings.Contains(out, "goes on in the background") {
		t.Errorf("--detach says %s", out)
	}
	f.run(0, nil, "deploys", "watch")
	f.answers("shop", "/", "shop 4")
	if out := f.run(0, nil, "builds").Out; len(regexp.MustCompile(`(?m)^build-\S+ +v\d +(succeeded|failed) +Dockerfile`).FindAllString(out, -1)) != 4 {
		t.Errorf("builds are\n%s", out)
	}
}

// following is a pandabox deploy under way in a folder.
type following struct {
	*folder
	cmd  *exec.Cmd
	said *os.File
}

// stuck is a name of testapp that no other box of this machine knows.
func (f *folder) stuck() string { return "stuck-" + f.instance }

// step is a step of a build that never ends.
func (f *folder) step() string {
	_ = os.Remove(filepath.Join(f.dir, f.stuck()))
	if err := os.Symlink("testapp", filepath.Join(f.dir, f.stuck())); err != nil {
		f.Fatal(err)
	}
	return `RUN ["/` + f.stuck() + `", "worker"]`
}

// begin deploys the folder, whose build never ends, and waits until that runs.
func (f *folder) begin() *following {
	f.Helper()
	said, err := os.Create(filepath.Join(f.TempDir(), "said"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = said.Close() })
	d := &following{f, exec.CommandContext(f.Context(), f.box.Bin, "deploy"), said}
	d.cmd.Dir = f.dir
	d.cmd.Env = append(os.Environ(), "PANDABOX_SOCKET="+f.box.Socket(), "HOME="+f.box.Dir)
	d.cmd.Stdout, d.cmd.Stderr = said, said
	if err := d.cmd.Start(); err != nil {
		f.Fatal(err)
	}
	f.eventually("the step that never ends", d.working)
	return d
}

func (d *following) working() bool {
	return len(pidsOf(d.T, func(cmdline string) bool { return strings.HasPrefix(cmdline, "/"+d.stuck()+" worker") })) > 0
}

// text is what the command has said.
func (d *following) text() string {
	b, err := os.ReadFile(d.said.Name())
	if err != nil {
		d.Fatal(err)
	}
	return string(b)
}

// interrupt sends Ctrl-C and insists on a deploy that was canceled, with nothing of it left.
func (d *following) interrupt() {
	d.Helper()
	began := time.Now()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		d.Fatal(err)
	}
	var exit *exec.ExitError
	if err := d.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		d.Errorf("the command ended %v\n%s", err, d.text())
	}
	told := time.Since(began)
	for ; d.working(); time.Sleep(time.Millisecond) {
		if time.Since(began) > gone {
			d.Fatal("a process of the build goes on")
		}
	}
	d.Logf("canceled within %s, all gone within %s", told, time.Since(began))
	if !regexp.MustCompile(`(?m)^error: interrupted; deploy deploy-\S+ was canceled\n  v1 of shop is still serving$`).MatchString(d.text()) {
		d.Errorf("it says\n%s", d.text())
	}
	if b := d.newest(); b.State != model.BuildCanceled {
		d.Errorf("the build is %+v", b)
	}
}

// TestCtrlCEndsABuild sends it to the command, and looks whether anything of the build goes on.
func TestCtrlCEndsABuild(t *testing.T) {
	f := start(t).folder("shop")
	f.run(0, nil, "deploy")
	f.dockerfile("2", f.step())
	f.begin().interrupt()
	f.answers("shop", "/", "shop 1")
	f.dockerfile("3")
	f.run(0, nil, "deploy", "-q")
	f.answers("shop", "/", "shop 3")
}

// TestABuildIsFollowedOverACrash kills the daemon under a build: whoever follows sees it begin again.
func TestABuildIsFollowedOverACrash(t *testing.T) {
	f := start(t).folder("shop")
	f.run(0, nil, "deploy")
	f.dockerfile("2", `RUN ["/testapp", "echo", "once"]`, f.step())
	d := f.begin()
	f.eventually("the log", func() bool { return strings.Contains(d.text(), "] working on") })
	if err := f.box.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := f.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.eventually("the log of the second attempt", func() bool { return strings.Count(d.text(), "] working on") == 2 })
	if text := d.text(); strings.Count(text, "] once\n") != 1 || !strings.Contains(text, "[2/3] cached\n") {
		t.Errorf("what was built before is built again:\n%s", text)
	}
	d.interrupt()
	f.answers("shop", "/", "shop 1")
}
