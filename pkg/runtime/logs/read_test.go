package logs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func config(dir, container string) WriterConfig {
	return WriterConfig{Dir: dir, Container: container, Process: "web", Release: 7, Index: 1}
}

func TestLinesAreReadAsTheyWereWritten(t *testing.T) {
	dir := t.TempDir() + "/logs"
	w := startWriter(t, config(dir, "w-1-v7-g1-web-1"))
	w.print("first\n\nthird\r\n\xff\xfe\n")
	if _, err := w.stderr.WriteString("oh no\n"); err != nil {
		t.Fatal(err)
	}
	w.print("no newline at the end")
	w.end()
	got := map[string][]string{}
	for _, l := range read(t, dir, model.LogQuery{Tail: -1}) {
		if l.Container != "w-1-v7-g1-web-1" || l.Process != "web" || l.Release != 7 || l.Index != 1 || l.Partial || l.At.IsZero() {
			t.Errorf("line %+v", l)
		}
		got[l.Stream] = append(got[l.Stream], l.Text)
	}
	if want := "[first  third\r \xff\xfe no newline at the end]"; fmt.Sprint(got["stdout"]) != want {
		t.Errorf("stdout %q, want %q", got["stdout"], want)
	}
	if fmt.Sprint(got["stderr"]) != "[oh no]" {
		t.Errorf("stderr %q", got["stderr"])
	}
}

func TestTailMergesContainers(t *testing.T) {
	dir := t.TempDir()
	a, b := startWriter(t, config(dir, "a")), startWriter(t, config(dir, "b"))
	f := follow(t, dir, model.LogQuery{Tail: -1})
	for i := range 10 {
		w := a
		if i%2 == 1 {
			w = b
		}
		w.print("line %d\n", i)
		f.waitFor("the line", func(l []model.LogLine) bool { return len(l) == i+1 })
	}
	a.end()
	b.end()
	for n := range 12 {
		var want strings.Builder
		for i := max(0, 10-n); i < 10; i++ {
			fmt.Fprintf(&want, "line %d\n", i)
		}
		if got := texts(read(t, dir, model.LogQuery{Tail: n})); got != want.String() {
			t.Errorf("tail %d: got %q, want %q", n, got, want.String())
		}
	}
	all := read(t, dir, model.LogQuery{Tail: -1})
	for i, l := range all {
		rest := read(t, dir, model.LogQuery{Tail: -1, Since: l.At})
		if len(rest) != len(all)-i {
			t.Errorf("since line %d: %d lines", i, len(rest))
		}
	}
	if got := read(t, dir, model.LogQuery{Tail: 3, Container: "a"}); texts(got) != "line 4\nline 6\nline 8\n" {
		t.Errorf("tail 3 of a: %q", texts(got))
	}
	if got := read(t, dir, model.LogQuery{Tail: -1, Release: 8}); len(got) != 0 {
		t.Errorf("release 8 has %d lines", len(got))
	}
}
