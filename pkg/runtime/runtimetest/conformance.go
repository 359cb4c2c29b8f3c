package runtimetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Runtime is what a subject must be; it repeats the ports of package reconcile, which stands above this one.
type Runtime interface {
	List(ctx context.Context) ([]model.Container, error)
	Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error)
	Remove(ctx context.Context, name string, grace time.Duration) error
	Wait(ctx context.Context, name string) (model.Exit, error)
	Events(ctx context.Context) <-chan struct{}
}

// Images is the other half of what a subject must be.
type Images interface {
	Ensure(ctx context.Context, img model.Image, progress func(percent int, detail string)) (model.Image, error)
	Reclaim(ctx context.Context, keep model.Keep) error
	Forget(ctx context.Context, workloadID string) error
}

// Subject is a fresh runtime under test. Its images must lose their period of grace at once.
type Subject struct {
	Runtime Runtime
	Images  Images
	// Image brings an image to the box.
	Image func(t *testing.T, spec ImageSpec) model.Image
}

// TestConformance checks that a runtime behaves as reconcile and control rely on.
func TestConformance(t *testing.T, fresh func(t *testing.T) Subject) {
	cases := []struct {
		name string
		run  func(t *testing.T, s Subject)
	}{
		{"start twice is start once", startTwice},
		{"list identifies containers", listIdentifies},
		{"exit is told", exitIsTold},
		{"out of memory is told", oomIsTold},
		{"an exited container is replaced", exitedIsReplaced},
		{"remove is idempotent", removeIdempotent},
		{"what cannot start leaves nothing", cannotStart},
		{"wait ends with its context", waitEnds},
		{"wait tells of a removal", waitRemoved},
		{"events tell of an exit", eventsTell},
		{"many start at once", manyAtOnce},
		{"images are ensured offline", ensureOffline},
		{"reclaim keeps what is used", reclaimKeeps},
		{"forget waits for containers", forgetWaits},
		{"any name will do", anyName},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, fresh(t)) })
	}
}

func replica(img model.Image, index int, command ...string) model.ContainerSpec {
	r := model.Replica{
		Role: model.RoleReplica, WorkloadID: "w1", EnvID: "e1", App: "shop", ReleaseID: "r1", Release: 1, Generation: 2,
		Process: "web", Index: index, Attempt: 3,
	}
	return model.ContainerSpec{
		Replica: r, Name: r.Name(), Image: img.Digest, Command: command, Env: []string{"A=b"}, Aliases: []string{"shop"},
		Limits: model.Limits{Memory: 48 << 20, Pids: 64},
	}
}

func mustStart(t *testing.T, s Subject, spec model.ContainerSpec) model.Container {
	t.Helper()
	c, err := s.Runtime.Start(t.Context(), spec)
	if err != nil {
		t.Fatalf("starting %s: %v", spec.Name, err)
	}
	return c
}

func mustList(t *testing.T, s Subject) []model.Container {
	t.Helper()
	all, err := s.Runtime.List(t.Context())
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	return all
}

// wait waits longer than anything here should take.
func wait(t *testing.T, s Subject, name string) model.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, err := s.Runtime.Wait(ctx, name)
	if err != nil {
		t.Fatalf("waiting for %s: %v", name, err)
	}
	return e
}

func startTwice(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "sleep")
	a, b := mustStart(t, s, spec), mustStart(t, s, spec)
	if a.Pid == 0 || a.Pid != b.Pid || a.Addr != b.Addr {
		t.Errorf("started twice: %+v, then %+v", a, b)
	}
	if a.State != model.ContainerRunning || !a.Addr.IsValid() {
		t.Errorf("a started container is %s at %s", a.State, a.Addr)
	}
}

func listIdentifies(t *testing.T, s Subject) {
	if all := mustList(t, s); len(all) != 0 {
		t.Fatalf("a fresh runtime has %+v", all)
	}
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "sleep")
	started := mustStart(t, s, spec)
	all := mustList(t, s)
	if len(all) != 1 {
		t.Fatalf("listed %+v", all)
	}
	c := all[0]
	if c.Name != spec.Name || c.Replica != spec.Replica || c.State != model.ContainerRunning || c.Addr != started.Addr || c.Pid != started.Pid {
		t.Errorf("started %+v, listed %+v", started, c)
	}
	if c.CreatedAt.IsZero() || c.StartedAt.IsZero() {
		t.Errorf("a running container without times: %+v", c)
	}
}

func exitIsTold(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "exit", "3")
	mustStart(t, s, spec)
	e := wait(t, s, spec.Name)
	if e.Code != 3 || !e.Known || e.OOM || e.At.IsZero() {
		t.Errorf("waited for %+v", e)
	}
	all := mustList(t, s)
	if len(all) != 1 || all[0].State != model.ContainerExited || all[0].Exit.Code != 3 || !all[0].Exit.Known {
		t.Errorf("listed %+v", all)
	}
	if again := wait(t, s, spec.Name); again.Code != 3 {
		t.Errorf("waited again for %+v", again)
	}
}

func oomIsTold(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "oom")
	mustStart(t, s, spec)
	if e := wait(t, s, spec.Name); !e.OOM || !e.Known {
		t.Errorf("waited for %+v", e)
	}
	if all := mustList(t, s); len(all) != 1 || !all[0].Exit.OOM {
		t.Errorf("listed %+v", all)
	}
}

func exitedIsReplaced(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "exit", "0")
	first := mustStart(t, s, spec)
	wait(t, s, spec.Name)
	spec.Command = []string{"/app", "sleep"}
	second := mustStart(t, s, spec)
	if second.State != model.ContainerRunning || second.Pid == first.Pid {
		t.Errorf("replaced %+v by %+v", first, second)
	}
	if all := mustList(t, s); len(all) != 1 || all[0].State != model.ContainerRunning {
		t.Errorf("listed %+v", all)
	}
}

func removeIdempotent(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	running, ended := replica(img, 1, "/app", "sleep"), replica(img, 2, "/app", "exit", "0")
	mustStart(t, s, running)
	mustStart(t, s, ended)
	wait(t, s, ended.Name)
	for _, name := range []string{running.Name, ended.Name, running.Name, "never-was"} {
		if err := s.Runtime.Remove(t.Context(), name, 10*time.Second); err != nil {
			t.Errorf("removing %s: %v", name, err)
		}
	}
	if all := mustList(t, s); len(all) != 0 {
		t.Errorf("listed %+v", all)
	}
}

func cannotStart(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	bare := s.Image(t, ImageSpec{NoApp: true, Files: []File{{Path: "/file", Content: []byte("x")}}})
	gone := replica(model.Image{Digest: "sha256:" + "0000000000000000000000000000000000000000000000000000000000000000"}, 1)
	for _, c := range []struct {
		what string
		spec model.ContainerSpec
		kind model.Kind
	}{
		{"a program that is not there", replica(img, 1, "nowhere"), model.KindInvalid},
		{"an image without a command", replica(bare, 1), model.KindInvalid},
		{"an image that is not there", gone, model.KindNotFound},
	} {
		_, err := s.Runtime.Start(t.Context(), c.spec)
		if model.KindOf(err) != c.kind {
			t.Errorf("%s: %v", c.what, err)
		}
		if all := mustList(t, s); len(all) != 0 {
			t.Errorf("%s left %+v", c.what, all)
		}
	}
}

func waitEnds(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "sleep")
	mustStart(t, s, spec)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if e, err := s.Runtime.Wait(ctx, spec.Name); model.KindOf(err) != model.KindCanceled {
		t.Errorf("waited for %+v, %v", e, err)
	}
}

func waitRemoved(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "sleep")
	mustStart(t, s, spec)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Runtime.Wait(t.Context(), spec.Name)
		ended <- err
	}()
	if err := s.Runtime.Remove(t.Context(), spec.Name, 0); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended: // the exit, if it was seen before the removal, else that there is none
		if err != nil && model.KindOf(err) != model.KindNotFound {
			t.Errorf("waiting ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("still waiting for a container that was removed")
	}
	if _, err := s.Runtime.Wait(t.Context(), spec.Name); model.KindOf(err) != model.KindNotFound {
		t.Errorf("waiting for what is not there: %v", err)
	}
}

func eventsTell(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	ctx, cancel := context.WithCancel(t.Context())
	events := s.Runtime.Events(ctx)
	mustStart(t, s, replica(img, 1, "/app", "exit", "0"))
	select {
	case <-events:
	case <-time.After(time.Minute):
		t.Error("no event of an exit")
	}
	cancel()
	closed := time.After(time.Minute)
	for {
		select {
		case _, open := <-events:
			if !open {
				return
			}
		case <-closed:
			t.Fatal("the channel is open though its context ended")
		}
	}
}

func manyAtOnce(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	const n = 6
	got := make(chan model.Container, n)
	for i := range n {
		go func() {
			c, err := s.Runtime.Start(t.Context(), replica(img, i+1, "/app", "sleep"))
			if err != nil {
				t.Errorf("starting %d: %v", i, err)
			}
			got <- c
		}()
	}
	var addrs []string
	for range n {
		addrs = append(addrs, (<-got).Addr.String())
	}
	slices.Sort(addrs)
	if len(slices.Compact(addrs)) != n {
		t.Errorf("addresses are shared: %v", addrs)
	}
	if all := mustList(t, s); len(all) != n {
		t.Errorf("listed %d", len(all))
	}
}

func ensureOffline(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{Ports: []int{9000}})
	got, err := s.Images.Ensure(t.Context(), model.Image{Ref: "registry.invalid/x", Digest: img.Digest}, nil)
	if err != nil || got.Digest != img.Digest || got.Config == nil || got.Ref != "registry.invalid/x" {
		t.Errorf("ensured %+v: %v", got, err)
	}
	if _, err := s.Images.Ensure(t.Context(), model.Image{Digest: digestOf(nil)}, nil); model.KindOf(err) != model.KindNotFound {
		t.Errorf("ensured what is nowhere: %v", err)
	}
}

func reclaimKeeps(t *testing.T, s Subject) {
	kept := s.Image(t, ImageSpec{Env: []string{"N=1"}})
	used := s.Image(t, ImageSpec{Env: []string{"N=2"}})
	idle := s.Image(t, ImageSpec{Env: []string{"N=3"}})
	spec := replica(used, 1, "/app", "sleep")
	mustStart(t, s, spec)
	if err := s.Images.Reclaim(t.Context(), model.Keep{Images: []string{kept.Digest}, Environments: []string{"e1"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		img  model.Image
		want model.Kind
	}{{"kept", kept, ""}, {"used", used, ""}, {"idle", idle, model.KindNotFound}} {
		if _, err := s.Images.Ensure(t.Context(), model.Image{Digest: c.img.Digest}, nil); model.KindOf(err) != c.want {
			t.Errorf("the %s image: %v", c.what, err)
		}
	}
	if all := mustList(t, s); len(all) != 1 || all[0].State != model.ContainerRunning {
		t.Errorf("listed %+v", all)
	}
}

func forgetWaits(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 1, "/app", "sleep")
	spec.Mounts = []model.Mount{{Volume: "data", Path: "/data"}}
	mustStart(t, s, spec)
	if err := s.Images.Forget(t.Context(), "w1"); model.KindOf(err) != model.KindConflict {
		t.Errorf("forgot a workload that runs: %v", err)
	}
	if err := s.Runtime.Remove(t.Context(), spec.Name, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Images.Forget(t.Context(), "w1"); err != nil {
			t.Errorf("forgetting: %v", err)
		}
	}
}

// anyName uses the longest names the model allows, and dashes in a row.
func anyName(t *testing.T, s Subject) {
	img := s.Image(t, ImageSpec{})
	spec := replica(img, 100, "/app", "exit", "3")
	spec.Replica.WorkloadID = "w-06h0b39jenxj7jfp1v6g"
	spec.Replica.Release, spec.Replica.Generation = 12345, 678
	spec.Replica.Process = "a--" + strings.Repeat("b", 37)
	spec.Name = spec.Replica.Name()
	mustStart(t, s, spec)
	if e := wait(t, s, spec.Name); e.Code != 3 {
		t.Errorf("waited for %+v", e)
	}
	if all := mustList(t, s); len(all) != 1 || all[0].Name != spec.Name || all[0].Replica != spec.Replica {
		t.Errorf("listed %+v", all)
	}
	if err := s.Runtime.Remove(t.Context(), spec.Name, 0); err != nil {
		t.Error(err)
	}
	if all := mustList(t, s); len(all) != 0 {
		t.Errorf("listed %+v", all)
	}
}
