package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/ociimage"
)

func grace(seconds string) []model.Process {
	var d model.Duration
	if err := d.UnmarshalText([]byte(seconds)); err != nil {
		panic(err)
	}
	return []model.Process{{Name: model.ProcessWeb, Port: 8080, Health: model.HealthCheck{Grace: d}}}
}

// TestBadReleases deploys releases that cannot work over one that does: each says what is wrong, the good one serves on,
// and nothing of the bad one is left.
func TestBadReleases(t *testing.T) {
	w := start(t)
	img := w.image()
	good := vars(img, "VERSION=1")
	w.succeed("web", good)
	containers := w.containers()
	for name, c := range map[string]struct {
		change func(*api.NewDeploy)
		why    string
	}{
		"exits at once":   {func(n *api.NewDeploy) { n.Variables["MODE"] = "exit" }, "DATABASE_URL is not set"},
		"never listens":   {func(n *api.NewDeploy) { n.Variables["MODE"] = "deaf" }, "8080"},
		"never healthy":   {func(n *api.NewDeploy) { n.Variables["MODE"] = "sick" }, "500"},
		"out of memory":   {func(n *api.NewDeploy) { n.Variables["MODE"] = "eat" }, "out of memory"},
		"no such command": {func(n *api.NewDeploy) { n.Processes[0].Command = []string{"/nowhere"} }, "/nowhere"},
		"release command fails": {func(n *api.NewDeploy) {
			n.Processes = append(n.Processes, model.Process{Name: model.ProcessRelease, Command: []string{"/testapp", "release"}})
			n.Variables["MODE"] = "badrelease"
		}, "no such table"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.with(t)
			n := vars(img)
			n.Processes = grace("4s")
			n.Processes[0].Scale.Memory = 64 << 20
			c.change(&n)
			app := "bad-" + model.Slug(name)
			w.succeed(app, vars(img, "VERSION=good"))
			d := w.deploy(app, n)
			if d.State != model.DeployRolledBack || d.Error == nil {
				t.Fatalf("ended %s: %v", d.State, d.Error)
			}
			if !strings.Contains(d.Error.What+d.Error.Why, c.why) || d.Error.Hint == "" {
				t.Errorf("what: %s\nwhy: %s\nhint: %s\nwant %q", d.Error.What, d.Error.Why, d.Error.Hint, c.why)
			}
			w.answers(app, "/", app+" good")
			if err := w.api.DestroyApp(t.Context(), app); err != nil {
				t.Fatal(err)
			}
			w.eventually("the end of "+app, func() bool { return len(w.containers()) == len(containers) })
		})
	}
	w.answers("web", "/", "web 1")
}

// with is w for a subtest.
func (w *world) with(t *testing.T) *world {
	c := *w
	c.T = t
	return &c
}

// containers returns the names of all containers of the box, as its shims know them.
func (w *world) containers() []string {
	w.Helper()
	dirs, err := filepath.Glob(filepath.Join(w.box.RunDir, "containerd", "io.containerd.runtime.v2.task", "*", "*"))
	if err != nil {
		w.Fatal(err)
	}
	return dirs
}

// TestBadArchives uploads what is no image, or none for this box: each is refused with a hint.
func TestBadArchives(t *testing.T) {
	w := start(t)
	good, err := os.ReadFile(archive(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(archive(t, func(s *ociimage.Spec) { s.Arch = "s390x" }))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		why  string
	}{
		"empty":              {nil, ""},
		"text":               {[]byte("hello, I am no archive"), ""},
		"truncated":          {good[:len(good)/2], ""},
		"wrong architecture": {other, "s390x"},
		"flipped bit":        {flip(good), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.api.ImportImage(t.Context(), strings.NewReader(string(c.data)), nil)
			e := asError(t, err)
			if e.Kind != model.KindInvalid || e.Hint == "" || !strings.Contains(e.Error(), c.why) {
				t.Fatalf("%+v", e)
			}
		})
	}
	w.succeed("web", vars(w.image(), "VERSION=1"))
}

// flip changes one bit in the middle of the largest part of an archive: a layer.
func flip(b []byte) []byte {
	c := append([]byte(nil), b...)
	c[len(c)/2] ^= 1
	return c
}

// TestNoCommand deploys an image that says nothing of what to run.
func TestNoCommand(t *testing.T) {
	w := start(t)
	f, err := os.Open(archive(t, func(s *ociimage.Spec) { s.Entrypoint = nil }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	img, err := w.api.ImportImage(t.Context(), f, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := w.deploy("web", vars(img))
	if d.State != model.DeployFailed || d.Error == nil || !strings.Contains(d.Error.What+d.Error.Why, "command") || d.Error.Hint == "" {
		t.Fatalf("ended %s: %+v", d.State, d.Error)
	}
	n := vars(img, "VERSION=1")
	n.Processes = grace("20s")
	n.Processes[0].Command = []string{"/testapp"}
	w.succeed("web", n)
	w.answers("web", "/", "web 1")
}

// TestUnreachableRegistry deploys an image nobody can pull.
func TestUnreachableRegistry(t *testing.T) {
	w := start(t)
	w.succeed("web", vars(w.image(), "VERSION=1"))
	d := w.deploy("web", vars(model.Image{Ref: "127.0.0.1:1/shop/web:2"}))
	if d.State != model.DeployRolledBack || d.Error == nil || d.Error.Kind != model.KindUnavailable && d.Error.Kind != model.KindRolledBack || d.Error.Hint == "" {
		t.Fatalf("ended %s: %+v", d.State, d.Error)
	}
	w.answers("web", "/", "web 1")
}

// TestStubborn replaces an app that ignores SIGTERM: it is killed after its grace.
func TestStubborn(t *testing.T) {
	w := start(t)
	n := vars(w.image(), "VERSION=1", "MODE=stubborn")
	n.Processes = grace("20s")
	n.Processes[0].Grace = model.Duration(1e9)
	w.succeed("web", n)
	before := w.apps()
	if _, err := w.api.SetVariables(t.Context(), ref("web"), api.VariableChange{Set: map[string]string{"VERSION": "2"}}); err != nil {
		t.Fatal(err)
	}
	w.eventually("version 2", func() bool { _, body, err := w.get("web", "/"); return err == nil && body == "web 2" })
	w.eventually("the end of version 1", func() bool {
		now := w.apps()
		return len(now) == 1 && now[0] != before[0]
	})
}

// TestOutOfMemory lets a serving app take more than it may: it is killed, said so, and started again.
func TestOutOfMemory(t *testing.T) {
	w := start(t)
	n := vars(w.image(), "VERSION=1")
	n.Scale = map[string]model.Scale{model.ProcessWeb: {Memory: 48 << 20}}
	w.succeed("web", n)
	_, _, _ = w.do(http.MethodPost, "web", "/eat", "")
	w.eventually("the restart", func() bool {
		s := w.status("web")
		return len(s.Replicas) == 1 && s.Replicas[0].Restarts > 0 && s.Replicas[0].LastExit != nil && s.Replicas[0].LastExit.OOM
	})
	w.eventually("the answer", func() bool { _, body, err := w.get("web", "/"); return err == nil && body == "web 1" })
}

// TestVolumeSurvives keeps a file across deploys and crashes, and deletes it with its app only.
func TestVolumeSurvives(t *testing.T) {
	w := start(t)
	n := vars(w.image(), "VERSION=1")
	n.Volumes = []model.Mount{{Volume: "storage", Path: "/storage"}}
	w.succeed("web", n)
	if code, body, err := w.do(http.MethodPut, "web", "/storage/note", "remember"); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s %v", code, body, err)
	}
	w.succeed("web", n)
	w.answers("web", "/storage/note", "remember")
	zero := 0
	if _, err := w.api.Scale(t.Context(), ref("web"), api.Scaling{Processes: map[string]model.Scale{"web": {Replicas: &zero}}}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the stop", func() bool { return w.status("web").State == model.WorkloadStopped })
	if code, _, err := w.get("web", "/"); err != nil || code != http.StatusServiceUnavailable {
		t.Fatalf("stopped app: %d %v", code, err)
	}
	one := 1
	if _, err := w.api.Scale(t.Context(), ref("web"), api.Scaling{Processes: map[string]model.Scale{"web": {Replicas: &one}}}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the volume's file", func() bool { _, body, err := w.get("web", "/storage/note"); return err == nil && body == "remember" })
	if err := w.api.DestroyApp(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the end of the volume", func() bool {
		left, err := filepath.Glob(filepath.Join(w.box.DataDir, "volumes", "*", "*"))
		return err == nil && len(left) == 0 && len(w.containers()) == 0
	})
}
