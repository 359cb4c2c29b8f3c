package runtime_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	runcopts "github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// direct talks to the runtime's containerd past the runtime.
func direct(t *testing.T, cfg runtime.Config) *containerd.Client {
	t.Helper()
	c, err := containerd.New(filepath.Join(cfg.RunDir, "containerd.sock"), containerd.WithDefaultNamespace("pandabox"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Whatever a crash left of a container, Start replaces it, Remove removes it, and both work twice.
func TestHalfMade(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	c := direct(t, cfg)
	ctx := namespaces.WithNamespace(t.Context(), "pandabox")
	rec, err := c.GetImage(ctx, img.Digest)
	if err != nil {
		t.Fatal(err)
	}
	shims, err := filepath.Glob(filepath.Join(cfg.DataDir, "parts", "*", "shim"))
	if err != nil || len(shims) != 1 {
		t.Fatal(shims, err)
	}
	opts := &runcopts.Options{BinaryName: filepath.Join(filepath.Dir(shims[0]), "runc"), Root: filepath.Join(cfg.RunDir, "runc")}
	spec := boxtest.Spec(img, 1)
	label := containerd.WithContainerLabels(map[string]string{"pandabox/replica": `{"workloadId":"w1"}`})
	halves := map[string]func(t *testing.T){
		"a snapshot": func(t *testing.T) {
			ids, err := rec.RootFS(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.SnapshotService("overlayfs").Prepare(ctx, spec.Name, ids[0].String(), snapshots.WithLabels(map[string]string{"containerd.io/gc.root": "x"}))
			if err != nil {
				t.Fatal(err)
			}
		},
		"a record": func(t *testing.T) {
			if _, err := c.NewContainer(ctx, spec.Name, containerd.WithNewSpec(), label, containerd.WithRuntime(shims[0], opts)); err != nil {
				t.Fatal(err)
			}
		},
		"a task that never started": func(t *testing.T) {
			k, err := c.NewContainer(ctx, spec.Name, containerd.WithNewSnapshot(spec.Name, rec),
				containerd.WithNewSpec(oci.WithProcessArgs("/app", "sleep")), label, containerd.WithRuntime(shims[0], opts))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.NewTask(ctx, cio.NullIO); err != nil {
				t.Fatal(err)
			}
		},
		"a task without network": func(t *testing.T) {
			k, err := c.NewContainer(ctx, spec.Name, containerd.WithNewSnapshot(spec.Name, rec),
				containerd.WithNewSpec(oci.WithProcessArgs("/app", "sleep")), label, containerd.WithRuntime(shims[0], opts))
			if err != nil {
				t.Fatal(err)
			}
			task, err := k.NewTask(ctx, cio.NullIO)
			if err == nil {
				err = task.Start(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, make := range halves {
		t.Run(name, func(t *testing.T) {
			make(t)
			k, err := r.Start(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			boxtest.Eventually(t, "it answers", func() bool { return get(t, k, "/up") != "" })
			if err := r.Remove(t.Context(), spec.Name, 0); err != nil {
				t.Fatal(err)
			}
			make(t)
			for range 2 {
				if err := r.Remove(t.Context(), spec.Name, time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if all, err := r.List(t.Context()); err != nil || len(all) != 0 {
				t.Errorf("listed %+v, %v", all, err)
			}
		})
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

// What an import or start cut short left is gone after the next New; what pandabox did not make stays, always.
func TestSweep(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	c := direct(t, cfg)
	ctx := namespaces.WithNamespace(t.Context(), "pandabox")
	rec, err := c.ImageService().Get(ctx, img.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ImageService().Create(ctx, images.Image{Name: "foreign", Target: rec.Target}); err != nil {
		t.Fatal(err)
	}
	sn := c.SnapshotService("overlayfs")
	for key, labels := range map[string]map[string]string{
		"extract-1 sha256:x": {"containerd.io/gc.root": "x"},
		"inspect-1":          {"pandabox/container": "inspect-1", "containerd.io/gc.root": "x"},
		"foreign":            {"containerd.io/gc.root": "x"},
	} {
		if _, err := sn.Prepare(ctx, key, "", snapshots.WithLabels(labels)); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []map[string]string{{"pandabox/lease": "1"}, {"foreign": "1"}} {
		if _, err := c.LeasesService().Create(ctx, leases.WithRandomID(), leases.WithLabels(l)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r = boxtest.Reopen(t, cfg)
	if _, err := c.LeasesService().Create(ctx, leases.WithRandomID(), leases.WithLabel("pandabox/lease", "start")); err != nil { // containerd was killed meanwhile
		t.Fatal(err)
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	left, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := func(prefix string) int {
		return len(slices.DeleteFunc(slices.Clone(left), func(l string) bool { return !strings.HasPrefix(l, prefix) }))
	}
	if count("image foreign") != 1 || count("snapshot foreign") != 1 || count("snapshot sha256:") != 1 || count("lease") != 1 || count("content") != 3 {
		t.Errorf("what others made was touched:\n%s", strings.Join(left, "\n"))
	}
	if count("image") != 1 || count("snapshot") != 2 {
		t.Errorf("something was left:\n%s", strings.Join(left, "\n"))
	}
	if err := c.ImageService().Delete(ctx, "foreign"); err != nil {
		t.Fatal(err)
	}
}

// A kill of containerd in the middle of making a snapshot leaves the directory of one there is no record of.
func TestOrphanedSnapshotDirectory(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var orphans []string
	for i := range 20 { // one of them has the next number
		orphans = append(orphans, filepath.Join(cfg.DataDir, "containerd/root/io.containerd.snapshotter.v1.overlayfs/snapshots", strconv.Itoa(i+1)))
	}
	made := 0
	for _, d := range orphans {
		if err := os.Mkdir(d, 0o700); os.IsExist(err) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		made++
		if err := os.Mkdir(filepath.Join(d, "fs"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r = boxtest.Reopen(t, cfg)
	if _, err := r.Start(t.Context(), boxtest.Spec(img, 1)); err != nil {
		t.Fatal(err)
	}
	left := slices.DeleteFunc(orphans, func(d string) bool { _, err := os.Stat(d); return os.IsNotExist(err) })
	if made < 10 || len(left) > 20-made+1 {
		t.Errorf("made %d, left %v", made, left)
	}
}
