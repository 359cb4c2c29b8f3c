package e2e

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// TestBackup saves the control state of one box, destroys an app and sets variables, and puts the backup back.
func TestBackup(t *testing.T) {
	w := start(t)
	img := w.image()
	w.succeed("web", vars(img, "VERSION=1", "KEPT=secret words"))
	file := filepath.Join(t.TempDir(), "box.backup")
	w.cli(0, "backup", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Fatalf("the backup holds keys and may be read by others: %v %v", info, err)
	}
	if _, err := w.api.SetVariables(t.Context(), ref("web"), api.VariableChange{Set: map[string]string{"VERSION": "2"}}); err != nil {
		t.Fatal(err)
	}
	w.eventually("version 2", func() bool { _, body, err := w.get("web", "/"); return err == nil && body == "web 2" })

	if r := w.box.Run(t.Context(), "restore", file, "--config", w.box.Config); r.Code == 0 {
		t.Fatal("restored under a running daemon")
	}
	if err := w.box.Signal(15); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.box.Run(t.Context(), "restore", broken, "--config", w.box.Config); r.Code == 0 || !strings.Contains(r.Err, "error:") {
		t.Fatalf("half a backup: exit %d\n%s%s", r.Code, r.Out, r.Err)
	}
	w.cli(0, "restore", file, "--config", w.box.Config)
	if err := w.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.eventually("version 1", func() bool { _, body, err := w.get("web", "/"); return err == nil && body == "web 1" })
	w.answers("web", "/env/KEPT", "secret words")
	w.succeed("web", vars(img, "VERSION=3"))
}

// TestRegistry pulls from a registry, notices what is not there, and deploys by digest after the tag has moved.
func TestRegistry(t *testing.T) {
	w := start(t)
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	repo := strings.TrimPrefix(s.URL, "http://") + "/shop/web"
	push(t, archive(t, nil), repo+":1")

	w.succeed("web", vars(model.Image{Ref: repo + ":1"}, "VERSION=1"))
	w.answers("web", "/", "web 1")
	r, err := w.api.Release(t.Context(), client.Ref{App: "web"}, 1)
	if err != nil || !strings.HasPrefix(r.Image.Digest, "sha256:") {
		t.Fatalf("%+v %v", r.Image, err)
	}
	d := w.deploy("web", vars(model.Image{Ref: repo + ":none"}, "VERSION=2"))
	if d.State != model.DeployRolledBack || d.Error.Hint == "" || !strings.Contains(d.Error.What+d.Error.Why, "none") {
		t.Fatalf("%s %+v", d.State, d.Error)
	}
	s.Close() // what is here needs no registry
	w.answers("web", "/", "web 1")
	w.succeed("web", vars(model.Image{Ref: repo + "@" + r.Image.Digest}, "VERSION=3"))
	w.answers("web", "/", "web 3")
}

// push puts the image of an archive into a registry.
func push(t *testing.T, file, to string) {
	t.Helper()
	dir := t.TempDir()
	untar(t, file, dir)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(to, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
}
