// Package e2e tries the built binary as a whole: real containerd, real Caddy, real containers.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
	"github.com/pandabox/pandabox/test/ociimage"
)

// patience bounds every wait for something that is sure to come.
const patience = 2 * time.Minute

// appBinary is testapp, built once by TestMain.
var appBinary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pbx-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	appBinary = filepath.Join(dir, "testapp")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", appBinary, "../testapp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building testapp: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// world is a box with what a test needs to use it.
type world struct {
	*testing.T
	box      *box.Box
	api      *client.Client
	http     *http.Client
	instance string
}

// start gives the test a box of its own, gone when the test is over.
func start(t *testing.T, o ...box.Options) *world {
	t.Helper()
	b, err := box.New(t.Context(), append(o, box.Options{})[0])
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, box: b}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log ends:\n%s", b.Log())
		}
		if err := b.Close(context.Background()); err != nil {
			t.Errorf("closing the box: %v", err)
		}
		w.leftovers()
	})
	c, err := client.New(client.Config{Address: "unix://" + b.Socket()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	h, err := b.HTTPClient()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdleConnections)
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.api, w.http, w.instance = c, h, info.Instance
	return w
}

// archive returns testapp's image as an archive.
func archive(t *testing.T, change func(*ociimage.Spec)) string {
	t.Helper()
	spec, err := ociimage.Static(appBinary, 8080)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&spec)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if _, err := ociimage.WriteFile(file, spec); err != nil {
		t.Fatal(err)
	}
	return file
}

// image uploads testapp's image.
func (w *world) image() model.Image {
	w.Helper()
	f, err := os.Open(archive(w.T, nil))
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	img, err := w.api.ImportImage(w.Context(), f, nil)
	if err != nil {
		w.Fatal(err)
	}
	return img
}

// vars makes a deploy of testapp with variables "NAME=value".
func vars(img model.Image, set ...string) api.NewDeploy {
	n := api.NewDeploy{Image: img, Variables: map[string]string{}}
	for _, s := range set {
		name, value, _ := strings.Cut(s, "=")
		n.Variables[name] = value
	}
	return n
}

// deploy deploys and waits for the end.
func (w *world) deploy(app string, n api.NewDeploy) api.Deploy {
	w.Helper()
	d, err := w.api.CreateDeploy(w.Context(), client.Ref{App: app}, n)
	if err != nil {
		w.Fatal(err)
	}
	return w.outcome(app, d.ID)
}

// outcome waits for a deploy's end.
func (w *world) outcome(app, id string) api.Deploy {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	d, err := w.api.WatchDeploy(ctx, client.Ref{App: app}, id, func(api.Deploy) error { return nil })
	if !d.State.Final() {
		w.Fatalf("deploy %s of %s is %s: %v", id, app, d.State, err)
	}
	return d
}

// succeed deploys and insists on success.
func (w *world) succeed(app string, n api.NewDeploy) api.Deploy {
	w.Helper()
	d := w.deploy(app, n)
	if d.State != model.DeploySucceeded {
		w.Fatalf("deploying %s ended %s: %v", app, d.State, d.Error)
	}
	return d
}

// host is an app's default domain.
func host(app string) string { return app + "." + box.Base }

// get requests a path of an app over HTTPS.
func (w *world) get(app, path string) (int, string, error) {
	return w.do(http.MethodGet, app, path, "")
}

func (w *world) do(method, app, path, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(w.Context(), method, "https://"+host(app)+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	res, err := w.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(b), err
}

// answers insists on a 200 with this body.
func (w *world) answers(app, path, want string) {
	w.Helper()
	code, body, err := w.get(app, path)
	if err != nil || code != http.StatusOK || body != want {
		w.Fatalf("%s%s: %d %q %v, want %q", app, path, code, body, err, want)
	}
}

// eventually waits until ok.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("%s never came", what)
		}
	}
}

// cli runs a command and insists on its exit code; it returns what was printed.
func (w *world) cli(code int, args ...string) box.Result {
	w.Helper()
	r := w.box.Run(w.Context(), args...)
	if r.Code != code {
		w.Fatalf("pandabox %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Out, r.Err)
	}
	return r
}

// status returns a workload.
func (w *world) status(app string) api.Workload {
	w.Helper()
	s, err := w.api.Workload(w.Context(), client.Ref{App: app})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// pidsOf returns the processes whose command line, its parts separated by spaces, matches.
func pidsOf(t *testing.T, match func(cmdline string) bool) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, d := range dirs {
		b, err := os.ReadFile(d + "/cmdline")
		if err != nil || len(b) == 0 {
			continue
		}
		if match(string(bytes.ReplaceAll(b, []byte{0}, []byte{' '}))) {
			var pid int
			if _, err := fmt.Sscanf(filepath.Base(d), "%d", &pid); err == nil && pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
