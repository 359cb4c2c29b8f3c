package logs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

func TestFollowGoesOnOverRotationAndNewContainers(t *testing.T) {
	dir := t.TempDir() + "/logs" // not there yet
	f := follow(t, dir, model.LogQuery{Tail: 0})
	c := config(dir, "a")
	c.MaxBytes = 4 << 20 // segments of 256 KiB
	w := startWriter(t, c)
	pad := strings.Repeat("x", 500)
	const n = 4000 // 2 MB: eight segments
	for i := range n {
		w.print("%d %s\n", i, pad)
	}
	lines := f.waitFor("all lines", func(l []model.LogLine) bool { return len(l) >= n })
	for i, l := range lines {
		if !strings.HasPrefix(l.Text, fmt.Sprint(i, " ")) {
			t.Fatalf("line %d is %.20q", i, l.Text)
		}
	}
	if all, _ := segment.List(dir); len(all) < 5 {
		t.Errorf("only %d segments: rotation was not tested", len(all))
	}
	late := startWriter(t, config(dir, "b"))
	late.print("hello from b\n")
	f.waitFor("the line of the new container", func(l []model.LogLine) bool { return l[len(l)-1].Text == "hello from b" })
	w.end()
	again := startWriter(t, c) // the same container, started again
	again.print("again\n")
	f.waitFor("the line after the restart", func(l []model.LogLine) bool { return l[len(l)-1].Text == "again" })
	if n := len(f.got()); n != 4002 {
		t.Errorf("%d lines, want 4002: some came twice", n)
	}
	f.end()
}

func TestFollowBeginsWithTheTail(t *testing.T) {
	dir := t.TempDir()
	w := startWriter(t, config(dir, "a"))
	w.print("1\n2\n3\n")
	eventually(t, "three lines", func() error {
		if n := len(read(t, dir, model.LogQuery{Tail: -1})); n != 3 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	f := follow(t, dir, model.LogQuery{Tail: 2})
	f.waitFor("the tail", func(l []model.LogLine) bool { return len(l) == 2 })
	w.print("4\n")
	got := f.waitFor("the next", func(l []model.LogLine) bool { return len(l) == 3 })
	if texts(got) != "2\n3\n4\n" {
		t.Errorf("got %q", texts(got))
	}
}

func TestFollowEndsWhenTheReaderGoes(t *testing.T) {
	dir := t.TempDir()
	gone := errors.New("the client went away")
	w := startWriter(t, config(dir, "a"))
	w.print("one\n")
	err := Read(t.Context(), dir, model.LogQuery{Tail: -1, Follow: true}, func(model.LogLine) error { return gone })
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	w.print("two\n")
	w.end()
	if got := texts(read(t, dir, model.LogQuery{Tail: -1})); got != "one\ntwo\n" {
		t.Errorf("got %q", got)
	}
}

// 10,000 lines a second for some seconds, with readers that come and are killed: a reader that keeps up gets every line,
// the budget holds all the time, and the latest lines can be read.
func TestTenThousandLinesASecond(t *testing.T) {
	const perSecond, seconds, batch, budget = 10000, 5, 100, 4 << 20
	dir := t.TempDir()
	c := config(dir, "a")
	c.MaxBytes = budget // two thirds of what is written
	w := startWriter(t, c)
	f := follow(t, dir, model.LogQuery{Tail: -1})
	pad := strings.Repeat("x", 80)
	var slowest time.Duration
	var killed *exec.Cmd
	for i := 0; i < perSecond*seconds; i++ {
		begin := time.Now()
		w.print("%d %s\n", i, pad) // a line a write, as an app without a buffer does
		slowest = max(slowest, time.Since(begin))
		if i%perSecond == 0 { // another process reads, and is killed with kill -9
			if killed != nil {
				_ = killed.Process.Kill()
				_ = killed.Wait()
			}
			killed = startReader(t, dir)
		}
		if i%batch == 0 {
			if size := dirSize(t, dir); size > budget {
				t.Fatalf("after %d lines %d bytes are kept, the budget is %d", i, size, budget)
			}
			time.Sleep(time.Second / (perSecond / batch))
		}
	}
	w.end()
	_ = killed.Process.Kill()
	_ = killed.Wait()
	check := func(what string, lines []model.LogLine, atLeast int) { // the last ones, without a gap
		t.Helper()
		if len(lines) < atLeast || len(lines) > perSecond*seconds {
			t.Fatalf("%s: %d lines, want %d to %d", what, len(lines), atLeast, perSecond*seconds)
		}
		for i, l := range lines {
			if n := perSecond*seconds - len(lines) + i; !strings.HasPrefix(l.Text, fmt.Sprint(n, " ")) {
				t.Fatalf("%s: line %d is %.20q", what, n, l.Text)
			}
		}
	}
	check("read at the end", read(t, dir, model.LogQuery{Tail: -1}), perSecond*seconds/2)
	check("followed", f.waitFor("every line", func(l []model.LogLine) bool { return len(l) >= perSecond*seconds }), perSecond*seconds)
	t.Logf("the slowest of %d writes took %s", perSecond*seconds, slowest)
}

func dirSize(t *testing.T, dir string) (total int64) {
	t.Helper()
	all, err := segment.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		total += f.Size
	}
	return total
}

// startReader starts this test program as a process that follows the logs; see TestMain.
func startReader(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), followEnv+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

func TestALongLineIsSplitAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	w := startWriter(t, config(dir, "a"))
	want := strings.Repeat("0123456789", 20000) // 200,000 bytes
	go func() { _, _ = w.stdout.WriteString(want + "\nshort\n") }()
	f := follow(t, dir, model.LogQuery{Tail: -1})
	lines := f.waitFor("the short line", func(l []model.LogLine) bool { return len(l) > 0 && l[len(l)-1].Text == "short" })
	var got strings.Builder
	for i, l := range lines[:len(lines)-1] {
		if len(l.Text) > 64<<10 || l.Partial != (i < len(lines)-2) {
			t.Errorf("part %d: %d bytes, partial %v", i, len(l.Text), l.Partial)
		}
		got.WriteString(l.Text)
	}
	if got.String() != want {
		t.Errorf("%d bytes of %d", got.Len(), len(want))
	}
}

// A writer that is asked to end while the app still writes reads on to the end.
func TestSIGTERMLosesNothing(t *testing.T) {
	dir := t.TempDir()
	w := startWriter(t, config(dir, "a"))
	w.print("before\n")
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("kill", "-TERM", fmt.Sprint(w.cmd.Process.Pid)).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	w.print("after\n")
	w.end()
	if got := texts(read(t, dir, model.LogQuery{Tail: -1})); got != "before\nafter\n" {
		t.Errorf("got %q", got)
	}
}

func TestBadArgumentsAreRefusedBeforeTheAppStarts(t *testing.T) {
	bin, err := buildWriter()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"dir"}, {"dir", "/x", "container", "a", "process", "web", "release", "x", "index", "1", "max", "1"}, {"dir", "/x", "container", "a/b", "process", "web", "release", "1", "index", "1", "max", "1"}} {
		if out, err := exec.Command(bin, args...).CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "pandabox-log: ") {
			t.Errorf("%q: %v %q", args, err, out)
		}
	}
	if err := (WriterConfig{Dir: "/x", Container: "a", Process: "w.eb"}).Check(); err == nil {
		t.Error("a process name with a dot passes")
	}
}
