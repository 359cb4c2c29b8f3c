package runtime_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// An app logs on while containerd is killed and the daemon goes and comes back; every line is there, to the last one it
// writes when it is asked to end.
func TestLogsOutliveContainerdAndDaemon(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	spec := boxtest.Spec(img, 1)
	c, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
	stop, written := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				written <- n
				return
			default:
				_ = get(t, c, "/log?text="+itoa(n))
				n++
			}
		}
	}()
	for range 2 {
		if err := syscall.Kill(enginePid(t, cfg), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		boxtest.Eventually(t, "containerd is back", func() bool { all, err := r.List(t.Context()); return err == nil && len(all) == 1 })
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r = boxtest.Reopen(t, cfg)
	close(stop)
	n := <-written
	if err := r.Remove(t.Context(), c.Name, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = r.Logs(t.Context(), model.LogQuery{WorkloadID: spec.Replica.WorkloadID, Tail: -1}, func(l model.LogLine) error {
		if l.Container != c.Name || l.Process != spec.Replica.Process || l.Release != spec.Replica.Release || l.Index != spec.Replica.Index {
			t.Errorf("a line of %+v", l)
		}
		got = append(got, l.Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != n+2 || got[n+1] != "bye" {
		t.Fatalf("%d lines; the app wrote %d between its first and its last, which is bye", len(got), n)
	}
	for i, text := range got[1 : n+1] {
		if text != itoa(i) {
			t.Fatalf("line %d is %q", i, text)
		}
	}
	t.Logf("%d lines", n)
}
