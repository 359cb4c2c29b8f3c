package segment

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lines reads a whole container's text back, oldest first.
func lines(t *testing.T, dir, container string) []string {
	t.Helper()
	all, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range all {
		if f.Container != container {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.String()))
		if err != nil {
			t.Fatal(err)
		}
		for l := range bytes.Lines(b) {
			r, ok := Parse(bytes.TrimSuffix(l, []byte("\n")))
			if !ok {
				t.Errorf("%s holds %q", f.Name, l)
			}
			out = append(out, string(r.Text))
		}
	}
	return out
}

func dirSize(t *testing.T, dir string) (total int64) {
	t.Helper()
	all, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		total += f.Size
	}
	return total
}

func name(container string) Name {
	return Name{Container: container, Process: "web", Release: 1, Index: 1}
}

func TestTheBudgetHoldsOverContainersAndKeepsTheNewest(t *testing.T) {
	const budget = 1 << 20
	dir := t.TempDir()
	old := Open(dir, name("old"), budget)
	old.Add(false, false, []byte("long ago"))
	old.Close()
	long := time.Now().Add(-time.Hour)
	first, _ := List(dir)
	if err := os.Chtimes(filepath.Join(dir, first[0].String()), long, long); err != nil {
		t.Fatal(err)
	}
	quiet := Open(dir, name("quiet"), budget)
	quiet.Add(false, false, []byte("still here"))
	quiet.Flush()
	busyOnes := []*Writer{Open(dir, name("a"), budget), Open(dir, name("b"), budget), Open(dir, name("c"), budget)}
	text := strings.Repeat("x", 200)
	const n = 20000
	for i := range n {
		for _, w := range busyOnes {
			w.Add(false, false, fmt.Appendf(nil, "%d %s", i, text))
		}
		if i%100 == 0 {
			if size := dirSize(t, dir); size > budget {
				t.Fatalf("after %d lines %d bytes are kept, the budget is %d", i, size, budget)
			}
		}
	}
	for _, w := range busyOnes {
		w.Close()
	}
	if size := dirSize(t, dir); size > budget || size < budget/2 {
		t.Errorf("%d bytes are kept, the budget is %d", size, budget)
	}
	if got := lines(t, dir, "old"); len(got) != 0 {
		t.Errorf("the oldest lines were kept: %q", got)
	}
	if got := lines(t, dir, "quiet"); len(got) != 1 {
		t.Errorf("a running container's only segment was removed under it: %q", got)
	}
	for _, c := range []string{"a", "b", "c"} {
		got := lines(t, dir, c)
		for i, l := range got { // the last ones, without a gap
			if want := fmt.Sprint(n-len(got)+i, " ", text); l != want {
				t.Fatalf("%s: line %d of %d is %.20q, want %.20q", c, i, len(got), l, want)
			}
		}
		if len(got) < 100 {
			t.Errorf("%s kept %d lines", c, len(got))
		}
	}
	quiet.Close()
}

func TestManyShortLivedContainersStayBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range maxSegments + 50 {
		w := Open(dir, name(fmt.Sprint("c", i)), 64<<20)
		w.Add(false, false, []byte("hello"))
		w.Close()
	}
	all, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > maxSegments {
		t.Errorf("%d segments", len(all))
	}
	if got := lines(t, dir, fmt.Sprint("c", maxSegments+49)); len(got) != 1 {
		t.Error("the newest is gone")
	}
}

func TestARestartGoesOnBehindATornRecord(t *testing.T) {
	dir := t.TempDir()
	w := Open(dir, name("a"), 1<<20)
	w.Add(false, false, []byte("one"))
	w.Close()
	all, _ := List(dir)
	path := filepath.Join(dir, all[0].String())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("2026-11-22T22:35:00.123456789Z stdout F cut sho"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	w = Open(dir, name("a"), 1<<20)
	w.Add(true, false, []byte("two"))
	w.Close()
	if got := fmt.Sprint(lines(t, dir, "a")); got != "[one two]" {
		t.Errorf("read %s", got)
	}
	if all, _ := List(dir); len(all) != 1 {
		t.Errorf("%d segments for two lines", len(all))
	}
}

func TestTwoWritersOfOneContainerDoNotMix(t *testing.T) {
	dir := t.TempDir()
	v, w := Open(dir, name("a"), 1<<20), Open(dir, name("a"), 1<<20)
	v.Add(false, false, []byte("v"))
	w.Add(false, false, []byte("w"))
	v.Close()
	w.Close()
	if all, _ := List(dir); len(all) != 2 {
		t.Errorf("%d segments", len(all))
	}
}

// A full disk must not stop the app: what does not fit is dropped and counted.
func TestAFullDiskDropsAndSaysSo(t *testing.T) {
	mnt := t.TempDir()
	if err := syscall.Mount("tmpfs", mnt, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatalf("mounting a small disk (root is needed): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mnt, syscall.MNT_DETACH) })
	ballast := filepath.Join(mnt, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(mnt, "logs")
	w := Open(dir, name("a"), 1<<20)
	text := strings.Repeat("x", 1000)
	added := 0
	for ; !w.Dropping(); added++ {
		w.Add(false, false, fmt.Appendf(nil, "%d %s", added, text))
		if added > 1000 {
			t.Fatal("256 KiB take more than 1 MB")
		}
	}
	for range 100 { // still full
		w.Add(false, false, fmt.Appendf(nil, "%d %s", added, text))
		added++
	}
	w.Flush()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.retry = time.Time{} // as if a second had passed
	w.Add(false, false, []byte("there is room again"))
	w.Close()
	got := lines(t, dir, "a")
	if len(got) < 2 || got[len(got)-1] != "there is room again" {
		t.Fatalf("the line after is missing: %d lines", len(got))
	}
	notice := got[len(got)-2]
	kept := len(got) - 2
	if want := fmt.Sprintf("[pandabox: %d lines before this one were dropped: no space left on device]", added-kept); notice != want {
		t.Errorf("notice %q, want %q", notice, want)
	}
	for i, l := range got[:kept] {
		if !strings.HasPrefix(l, fmt.Sprint(i, " ")) || len(l) != len(text)+len(fmt.Sprint(i, " ")) {
			t.Fatalf("line %d is %.20q of %d bytes", i, l, len(l))
		}
	}
}

func TestADirectoryThatCannotBeMadeDropsToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := Open(filepath.Join(file, "logs"), name("a"), 1<<20)
	w.Add(false, false, []byte("hello"))
	w.Flush()
	if !w.Dropping() {
		t.Error("nothing is said to be dropped")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.retry = time.Time{}
	w.Add(false, false, []byte("again"))
	w.Close()
	if got := lines(t, filepath.Join(file, "logs"), "a"); len(got) != 2 || got[1] != "again" {
		t.Errorf("kept %q", got)
	}
}
