package runtime_test

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "hold" {
		os.Exit(holdRuntime(os.Args[2]))
	}
	boxtest.Main(m)
}

// get asks a container's app and returns the answer's text, "" when there is none.
func get(t *testing.T, c model.Container, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + c.Addr.String() + ":8080" + path)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServe(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	c, err := r.Start(t.Context(), boxtest.Spec(img, 1))
	if err != nil {
		t.Fatal(err)
	}
	boxtest.Eventually(t, "the app answers", func() bool { return strings.HasPrefix(get(t, c, "/hello"), "hello") })
	for _, path := range []string{"/read?path=/proc/self/uid_map", "/status", "/read?path=/proc/self/cgroup", "/read?path=/proc/mounts"} {
		t.Log(get(t, c, path))
	}
	if err := r.Remove(t.Context(), c.Name, 0); err != nil {
		t.Fatal(err)
	}
}

// logged counts the lines a container has written.
func logged(t *testing.T, r *runtime.Runtime, workload, container string) int {
	t.Helper()
	n := 0
	err := r.Logs(t.Context(), model.LogQuery{WorkloadID: workload, Container: container, Tail: -1}, func(model.LogLine) error {
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func itoa(n int) string { return strconv.Itoa(n) }
