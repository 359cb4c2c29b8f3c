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

// Many images have their logs linked to /dev/stdout and /dev/stderr: whoever runs there may open them by name.
func TestOutputIsOpenedByName(t *testing.T) {
	r := boxtest.Start(t, boxtest.Config(t))
	for i, user := range []string{"", "65532:65532"} {
		img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{User: user}))
		c, err := r.Start(t.Context(), boxtest.Spec(img, i+1))
		if err != nil {
			t.Fatal(err)
		}
		boxtest.Eventually(t, "the app answers", func() bool { return get(t, c, "/up") != "" })
		want := map[string]bool{}
		for _, path := range []string{"/dev/stdout", "/dev/stderr", "/proc/1/fd/1"} {
			if said := get(t, c, "/write?path="+path+"&text="+path+"%0A"); said != "" {
				t.Errorf("user %q opens %s: %s", user, path, said)
			}
			want[path] = true
		}
		if err := r.Remove(t.Context(), c.Name, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		err = r.Logs(t.Context(), model.LogQuery{WorkloadID: c.Replica.WorkloadID, Tail: -1}, func(l model.LogLine) error {
			if l.Container == c.Name {
				delete(want, l.Text)
			}
			return nil
		})
		if err != nil || len(want) > 0 {
			t.Errorf("user %q: not in the log are %v (%v)", user, want, err)
		}
	}
}
