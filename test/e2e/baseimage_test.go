package e2e

import (
	"strings"
	"testing"
)

// TestBaseImagesWithoutARegistry begins a build with an image that is nowhere, adds it, and builds.
func TestBaseImagesWithoutARegistry(t *testing.T) {
	w := start(t)
	f := w.folder("shop")
	f.write("Dockerfile", "FROM registry.invalid/base:1\nENV VERSION=1\nCMD [\"/app\"]\n")
	f.run(1, []string{`a base image is not here and cannot be fetched`, `registry\.invalid/base:1`, `pandabox build base add FILE`}, "deploy")

	file := archive(t, nil)
	if r := w.box.Run(t.Context(), "build", "base", "add", file); r.Code == 0 || !strings.Contains(r.Err, "--name") {
		t.Errorf("without a name: exit %d\n%s", r.Code, r.Err)
	}
	w.cli(0, "build", "base", "add", "--name", "registry.invalid/base:1", file)
	if out := w.box.Run(t.Context(), "build", "base").Out; !strings.Contains(out, "registry.invalid/base:1") {
		t.Errorf("base images are\n%s", out)
	}
	f.run(0, nil, "deploy")
	f.answers("shop", "/", "shop 1")

	w.cli(0, "build", "base", "rm", "registry.invalid/base:1")
	if out := w.box.Run(t.Context(), "build", "base").Out; strings.Contains(out, "registry.invalid/base:1") {
		t.Errorf("base images are\n%s", out)
	}
	f.run(0, nil, "restart") // what was built of it stays
	f.answers("shop", "/", "shop 1")
}
