package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestWhatWasBuiltIsBuiltAgainOnANewBox restores a backup where there are no images, no sites and no build cache.
func TestWhatWasBuiltIsBuiltAgainOnANewBox(t *testing.T) {
	w := start(t)
	f := w.folder("shop")
	f.run(0, nil, "deploy")
	w.website("site", map[string]string{"index.html": "home"}).run(0, nil, "deploy")
	first := f.newest()
	file := filepath.Join(t.TempDir(), "box.backup")
	w.cli(0, "backup", file)
	if err := w.box.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.cli(0, "stop", "--all", "--config", w.box.Config)
	if err := os.RemoveAll(w.box.DataDir); err != nil {
		t.Fatal(err)
	}
	w.cli(0, "restore", file, "--config", w.box.Config)
	if err := w.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.eventually("the app", func() bool { _, body, err := w.get("shop", "/"); return err == nil && body == "shop 1" })
	w.eventually("the site", func() bool { _, body, err := w.get("site", "/"); return err == nil && body == "home" })
	if again := f.newest(); again.ID == first.ID || again.State != model.BuildSucceeded || again.Release != 1 {
		t.Errorf("the build is %+v, the first was %+v", again, first)
	}
	f.dockerfile("2")
	f.run(0, nil, "deploy", "-q")
	f.answers("shop", "/", "shop 2")
}
