package logs

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

func function(n int) model.Replica {
	return model.Replica{Role: model.RoleReplica, WorkloadID: "w", Release: n, Generation: 1, Process: "web", Index: 1}
}

func newTestPrinter(t *testing.T) (p *Printer, dir string) {
	root := t.TempDir()
	p = NewPrinter(func(id string) string { return filepath.Join(root, id) })
	t.Cleanup(p.Close)
	return p, filepath.Join(root, "w")
}

func TestPrintedLinesAreReadLikeThoseOfContainers(t *testing.T) {
	p, dir := newTestPrinter(t)
	p.Print(function(1), "stdout", "hello")
	p.Print(function(1), "stderr", "two\nlines")
	p.Print(function(2), "stdout", "")
	p.Close()
	p.Print(function(2), "stdout", "after the end")
	lines := read(t, dir, model.LogQuery{Tail: -1})
	var got []string
	for _, l := range lines {
		got = append(got, fmt.Sprintf("%s v%d %s %s", l.Process, l.Release, l.Stream, l.Text))
	}
	if want := "web v1 stdout hello; web v1 stderr two; web v1 stderr lines; web v2 stdout "; strings.Join(got, "; ") != want {
		t.Errorf("read %q, want %q", strings.Join(got, "; "), want)
	}
	if one := read(t, dir, model.LogQuery{Tail: -1, Container: function(2).Name()}); len(one) != 1 {
		t.Errorf("of one replica: %v", one)
	}
}

func TestPrintedLinesAreFollowed(t *testing.T) {
	p, dir := newTestPrinter(t)
	f := follow(t, dir, model.LogQuery{Tail: -1, Follow: true})
	for i := range 3 {
		p.Print(function(1), "stdout", fmt.Sprint("line ", i))
		f.waitFor("the line", func(got []model.LogLine) bool { return len(got) == i+1 })
	}
}

// TestManyIsolatesPrintAtOnce: every line arrives whole, however many print, and what nobody prints to is closed.
func TestManyIsolatesPrintAtOnce(t *testing.T) {
	p, dir := newTestPrinter(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 500 {
				p.Print(function(1+i%2), "stdout", fmt.Sprintf("isolate %d line %d", i, n))
			}
		})
	}
	all.Wait()
	eventually(t, "all lines", func() error {
		if n := len(read(t, dir, model.LogQuery{Tail: -1})); n != 4000 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	if p.tend(time.Now().Add(time.Hour)) || len(p.logs) != 0 {
		t.Error("logs stay open that nobody prints to")
	}
	p.Print(function(1), "stdout", "again")
	eventually(t, "the last line", func() error {
		if last := read(t, dir, model.LogQuery{Tail: 1}); len(last) != 1 || last[0].Text != "again" {
			return fmt.Errorf("%v", last)
		}
		return nil
	})
	if files, err := segment.List(dir); err != nil || len(files) != 2 {
		t.Errorf("segments are %v, %v", files, err)
	}
}
