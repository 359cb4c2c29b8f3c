// Package boxtest gives tests a real runtime: a containerd of their own, in directories of their own, taken away whole
// at the end.
package boxtest

import (
	"context"
	"hash/fnv"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
)

// Main is what TestMain calls, so that the test binary can be the runtime's containerd.
//
//	func TestMain(m *testing.M) { boxtest.Main(m) }
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "containerd" {
		os.Exit(runtime.ChildMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// Config returns the configuration of a runtime in fresh directories, on a subnet that no other test is likely to use.
// All of it is removed when the test ends.
func Config(t testing.TB) runtime.Config {
	t.Helper()
	data, run := t.TempDir(), RunDir(t)
	if err := os.Chmod(data, 0o700); err != nil { // as a service's state directory is
		t.Fatal(err)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(data))
	return runtime.Config{
		DataDir: data, RunDir: run,
		Logger: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel),
		Subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + h.Sum32()%100), byte(h.Sum32() >> 8 & 0xf0), 0}), 20),
	}
}

// RunDir returns a fresh directory with a path short enough for sockets.
func RunDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "pbx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing %s: %v", dir, err)
		}
	})
	return dir
}

// New returns a running runtime. When the test ends it is purged, and the test fails if anything stays.
func New(t testing.TB) *runtime.Runtime {
	t.Helper()
	return Start(t, Config(t))
}

// Start is New with a configuration. Where the test closes the runtime itself, another one with the same configuration
// cleans up.
func Start(t testing.TB, cfg runtime.Config) *runtime.Runtime {
	t.Helper()
	before := snapshot(cfg)
	t.Cleanup(func() { purge(t, cfg, before) }) // after every Close
	return Reopen(t, cfg)
}

// Reopen returns another runtime for directories that Start has been given before, after a Close or a crash.
func Reopen(t testing.TB, cfg runtime.Config) *runtime.Runtime {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r, err := runtime.New(ctx, cfg)
	if err != nil {
		t.Fatalf("starting the runtime: %v\n%s", err, EngineLog(cfg))
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Logf("closing the runtime: %v", err)
		}
		if t.Failed() {
			t.Logf("containerd's log:\n%s", EngineLog(cfg))
		}
	})
	return r
}

func purge(t testing.TB, cfg runtime.Config, before state) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cfg.Logger = zerolog.Nop()
	r, err := runtime.New(ctx, cfg)
	if err != nil {
		t.Errorf("cleaning up: %v", err)
		return
	}
	if err := r.Purge(ctx); err != nil {
		t.Errorf("cleaning up: %v", err)
	}
	for _, left := range snapshot(cfg).since(before) {
		t.Errorf("left behind: %s", left)
	}
}

// EngineLog returns the end of containerd's log.
func EngineLog(cfg runtime.Config) string {
	b, err := os.ReadFile(filepath.Join(cfg.DataDir, "containerd", "containerd.log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// Import imports the archive at path.
func Import(t testing.TB, r *runtime.Runtime, path string) model.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	img, err := r.Import(t.Context(), f)
	if err != nil {
		t.Fatalf("importing the image: %v", err)
	}
	return img
}

// Spec returns a container of workload "w1", process web, from an image.
func Spec(img model.Image, index int, command ...string) model.ContainerSpec {
	r := model.Replica{
		Role: model.RoleReplica, WorkloadID: "w1", EnvID: "e1", App: "shop", ReleaseID: "r1", Release: 1, Generation: 1,
		Process: model.ProcessWeb, Index: index,
	}
	return model.ContainerSpec{
		Replica: r, Name: r.Name(), Image: img.Digest, Command: command, Aliases: []string{"shop", "web.shop"},
		Limits: model.Limits{Memory: 64 << 20, Pids: 64},
	}
}

// Eventually polls until ok says true. It fails the test when that takes more than a generous while.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 seconds", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
