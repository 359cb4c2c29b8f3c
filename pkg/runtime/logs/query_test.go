package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

// Whatever lies in the directory, every query gives what looking at all lines at once would give.
func TestQueriesAgreeWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		all := writeAnything(rt, dir)
		for range 5 {
			q := model.LogQuery{Tail: rapid.IntRange(-1, len(all)+2).Draw(rt, "tail")}
			if rapid.Bool().Draw(rt, "with since") && len(all) > 0 {
				q.Since = rapid.SampledFrom(all).Draw(rt, "since").At
			}
			if rapid.Bool().Draw(rt, "with process") {
				q.Process = rapid.SampledFrom([]string{"web", "worker", "none"}).Draw(rt, "process")
			}
			if rapid.Bool().Draw(rt, "with container") {
				q.Container = "c1"
			}
			if rapid.Bool().Draw(rt, "with release") {
				q.Release = rapid.IntRange(1, 3).Draw(rt, "release")
			}
			var got []model.LogLine
			if err := Read(t.Context(), dir, q, func(l model.LogLine) error { got = append(got, l); return nil }); err != nil {
				rt.Fatalf("%+v: %v", q, err)
			}
			if want := choose(all, q); !slices.Equal(got, want) {
				rt.Fatalf("%+v:\ngot  %s\nwant %s", q, brief(got), brief(want))
			}
		}
	})
}

// choose is the model of a query.
func choose(all []model.LogLine, q model.LogQuery) []model.LogLine {
	var out []model.LogLine
	for _, l := range all {
		if (q.Process == "" || l.Process == q.Process) && (q.Container == "" || l.Container == q.Container) &&
			(q.Release == 0 || l.Release == q.Release) && !l.At.Before(q.Since) {
			out = append(out, l)
		}
	}
	if q.Tail >= 0 && len(out) > q.Tail {
		out = out[len(out)-q.Tail:]
	}
	return out
}

// writeAnything writes containers with segments of all sizes, garbage between records and torn ends, and returns the
// lines oldest first.
func writeAnything(t *rapid.T, dir string) []model.LogLine {
	var all []model.LogLine
	clock := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	type open struct {
		segment.Name
		bytes.Buffer
		last time.Time
	}
	var files []*open
	current := map[int]*open{}
	containers := rapid.IntRange(1, 4).Draw(t, "containers")
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		c := rapid.IntRange(1, containers).Draw(t, "container")
		o := current[c]
		if o == nil || rapid.IntRange(0, 9).Draw(t, "rotate") == 0 {
			n := segment.Name{Container: fmt.Sprint("c", c), Process: []string{"web", "worker"}[c%2], Release: c%2 + 1, Index: 1, Sequence: 1}
			if o != nil {
				n.Sequence = o.Sequence + 1
				if rapid.Bool().Draw(t, "torn") {
					line := segment.Record{At: clock, Text: []byte("torn")}.Append(nil)
					o.Write(line[:rapid.IntRange(1, len(line)-1).Draw(t, "torn at")])
				}
			}
			o = &open{Name: n}
			current[c] = o
			files = append(files, o)
		}
		if rapid.IntRange(0, 19).Draw(t, "garbage") == 0 {
			o.WriteString(strings.Repeat("\x00", rapid.SampledFrom([]int{0, 10, 70000, 300000}).Draw(t, "zeros")) + "\n")
		}
		clock = clock.Add(time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "later")))
		l := model.LogLine{At: clock, Container: o.Container, Process: o.Process, Release: o.Release, Index: 1, Stream: "stdout",
			Text: strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 30, 5000, 40000, segment.MaxText}).Draw(t, "length"))}
		if rapid.Bool().Draw(t, "stderr") {
			l.Stream = "stderr"
		}
		o.Write(segment.Record{At: l.At, Stderr: l.Stream == "stderr", Text: []byte(l.Text)}.Append(nil))
		o.last = clock
		all = append(all, l)
	}
	for _, o := range files {
		path := filepath.Join(dir, o.Name.String())
		if err := os.WriteFile(path, o.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, o.last, o.last); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func brief(lines []model.LogLine) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "[%s %s %d bytes] ", l.At.Format("15:04:05.999999999"), l.Container, len(l.Text))
	}
	return b.String()
}

// The last lines are found without reading what lies before: here that is a terabyte.
func TestTailReadsOnlyTheEnd(t *testing.T) {
	dir := t.TempDir()
	name := segment.Name{Container: "a", Process: "web", Release: 1, Index: 1, Sequence: 1}
	huge, err := os.Create(filepath.Join(dir, name.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = huge.Close() }()
	if err := huge.Truncate(1 << 40); err != nil { // takes no space
		t.Fatal(err)
	}
	var end []byte
	end = append(end, '\n')
	for i := range 100 {
		end = segment.Record{At: time.Unix(int64(i), 0), Text: fmt.Append(nil, i)}.Append(end)
	}
	if _, err := huge.WriteAt(end, 1<<40); err != nil {
		t.Fatal(err)
	}
	if got := texts(read(t, dir, model.LogQuery{Tail: 3})); got != "97\n98\n99\n" {
		t.Errorf("got %q", got)
	}
}

func TestAQueryOfNothing(t *testing.T) {
	dir := t.TempDir()
	if got := read(t, filepath.Join(dir, "never-made"), model.LogQuery{Tail: -1}); len(got) != 0 {
		t.Errorf("%d lines of a workload that never ran", len(got))
	}
	stop := fmt.Errorf("enough")
	w := startWriter(t, config(dir, "a"))
	w.print("one\ntwo\n")
	w.end()
	n := 0
	err := Read(t.Context(), dir, model.LogQuery{Tail: -1}, func(model.LogLine) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("after %d lines: %v", n, err)
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); err != nil {
		t.Errorf("removing twice: %v", err)
	}
}

// Without following, reading ends where the logs ended when it began, however fast the app goes on.
func TestReadingDoesNotChaseTheWriter(t *testing.T) {
	dir := t.TempDir()
	w := segment.Open(dir, segment.Name{Container: "a", Process: "web", Release: 1, Index: 1}, 1<<20)
	defer w.Close()
	w.Add(false, false, []byte("one"))
	w.Add(false, false, []byte("two"))
	w.Flush()
	n := 0
	err := Read(t.Context(), dir, model.LogQuery{Tail: -1}, func(model.LogLine) error {
		if n++; n > 10 {
			return fmt.Errorf("it goes on")
		}
		w.Add(false, false, []byte("more"))
		w.Flush()
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d lines, %v", n, err)
	}
}
