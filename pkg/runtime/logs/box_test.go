package logs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

var buildWriter = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pandabox-log-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "pandabox-log")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "github.com/pandabox/pandabox/cmd/pandabox-log")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
})

// followEnv makes this test program a process that only follows the logs of a directory.
const followEnv = "PANDABOX_TEST_FOLLOW"

func TestMain(m *testing.M) {
	if dir := os.Getenv(followEnv); dir != "" {
		err := Read(context.Background(), dir, model.LogQuery{Tail: -1, Follow: true}, func(model.LogLine) error { return nil })
		fmt.Fprintln(os.Stderr, "following:", err)
		os.Exit(1)
	}
	code := m.Run()
	if bin, err := buildWriter(); err == nil {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// logWriter is the real log writer, started as containerd's shim starts it.
type logWriter struct {
	t              *testing.T
	stdout, stderr *os.File
	cmd            *exec.Cmd
	ended          bool
}

func startWriter(t *testing.T, c WriterConfig) *logWriter {
	t.Helper()
	bin, err := buildWriter()
	if err != nil {
		t.Fatalf("building the log writer: %v", err)
	}
	u, err := url.Parse(URI(bin, c))
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	for k, vs := range u.Query() { // as containerd's shim does it
		args = append(args, k, vs[0])
	}
	w := &logWriter{t: t, cmd: exec.Command(u.Path, args...)}
	outR, outW := pipe(t)
	errR, errW := pipe(t)
	readyR, readyW := pipe(t)
	w.stdout, w.stderr = outW, errW
	w.cmd.Env = []string{"CONTAINER_ID=" + c.Container, "CONTAINER_NAMESPACE=pandabox"}
	w.cmd.ExtraFiles = []*os.File{outR, errR, readyW}
	w.cmd.Stderr = os.Stderr
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	for _, f := range w.cmd.ExtraFiles {
		_ = f.Close()
	}
	if n, err := readyR.Read(make([]byte, 1)); n != 1 {
		t.Fatalf("the log writer did not become ready: %v", err)
	}
	return w
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func (w *logWriter) print(format string, args ...any) {
	w.t.Helper()
	if _, err := fmt.Fprintf(w.stdout, format, args...); err != nil {
		w.t.Fatalf("writing to the log writer: %v", err)
	}
}

// end closes the streams, as the end of a container does, and waits for the log writer.
func (w *logWriter) end() {
	w.t.Helper()
	_, _ = w.stdout.Close(), w.stderr.Close()
	w.ended = true
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("log writer: %v", err)
	}
}

func (w *logWriter) kill() {
	if !w.ended {
		w.ended = true
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	}
}

func read(t *testing.T, dir string, q model.LogQuery) []model.LogLine {
	t.Helper()
	var out []model.LogLine
	err := Read(t.Context(), dir, q, func(l model.LogLine) error { out = append(out, l); return nil })
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return out
}

func texts(lines []model.LogLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// follower reads with Follow in the background.
type follower struct {
	t     *testing.T
	mu    sync.Mutex
	lines []model.LogLine
	stop  context.CancelFunc
	done  chan error
}

func follow(t *testing.T, dir string, q model.LogQuery) *follower {
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{t: t, stop: cancel, done: make(chan error, 1)}
	q.Follow = true
	go func() {
		f.done <- Read(ctx, dir, q, func(l model.LogLine) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.lines = append(f.lines, l)
			return nil
		})
	}()
	t.Cleanup(func() { f.end() })
	return f
}

func (f *follower) end() {
	f.stop()
	if err, ok := <-f.done; ok {
		if err != nil {
			f.t.Errorf("following: %v", err)
		}
		close(f.done)
	}
}

func (f *follower) got() []model.LogLine {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]model.LogLine(nil), f.lines...)
}

func (f *follower) waitFor(what string, enough func([]model.LogLine) bool) []model.LogLine {
	f.t.Helper()
	eventually(f.t, what, func() error {
		if !enough(f.got()) {
			return fmt.Errorf("have %d lines", len(f.got()))
		}
		return nil
	})
	return f.got()
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	err := errors.New("not tried")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
