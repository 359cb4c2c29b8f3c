package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/archive"
)

// texts returns the lines of a build's log.
func texts(t *testing.T, l buildLogs, id string) []string {
	t.Helper()
	var out []string
	err := l.read(t.Context(), id, false, func(line model.BuildLine) error {
		out = append(out, strings.TrimSpace(line.Step+" "+line.Text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantTexts(t *testing.T, l buildLogs, id string, want ...string) {
	t.Helper()
	if got := texts(t, l, id); !slices.Equal(got, want) {
		t.Errorf("the log of %s is %q, want %q", id, got, want)
	}
}

// said appends lines to a build's log, as one attempt.
func said(t *testing.T, l buildLogs, id string, all ...string) {
	t.Helper()
	say, end, err := l.writer(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range all {
		say(model.BuildLine{At: time.Now(), Step: "[1/2]", Text: text})
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

func TestABuildLogGoesOnAfterACrash(t *testing.T) {
	l := buildLogs{t.TempDir()}
	wantTexts(t, l, "build-1") // of a build that has not begun
	said(t, l, "build-1", "one", "two")
	wantTexts(t, l, "build-1", "[1/2] one", "[1/2] two")
	f, err := os.OpenFile(l.file("build-1"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"at":"2026-11-23T12:00:00Z","te`); err != nil { // the daemon is killed
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	said(t, l, "build-1", "one")
	wantTexts(t, l, "build-1", "[1/2] one", "[1/2] two", "the build begins again", "[1/2] one")
	wantTexts(t, l, "../build-1", texts(t, l, "build-1")...) // no id leads elsewhere
}

func TestABuildLogIsBounded(t *testing.T) {
	l := buildLogs{t.TempDir()}
	if err := os.WriteFile(l.file("b"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(l.file("b"), maxBuildLog+1); err != nil {
		t.Fatal(err)
	}
	said(t, l, "b", "more")
	info, err := os.Stat(l.file("b"))
	if err != nil || info.Size() > maxBuildLog+2 {
		t.Errorf("the log has grown to %v, %v", info.Size(), err)
	}
}

func TestABuildLogIsFollowed(t *testing.T) {
	l := buildLogs{t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		lines := make(chan string, 10)
		ended := make(chan error, 1)
		go func() {
			ended <- l.read(ctx, "b", true, func(line model.BuildLine) error {
				lines <- line.Text
				return nil
			})
		}()
		time.Sleep(time.Minute) // nothing is there yet
		for _, want := range []string{"one", "two"} {
			if want == "two" { // half of it first
				f, err := os.OpenFile(l.file("b"), os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range []string{`{"text":"t`, "wo\"}\n"} {
					if _, err := f.WriteString(part); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				said(t, l, "b", want)
			}
			if got := <-lines; got != want {
				t.Errorf("it gave %q, want %q", got, want)
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	stop := errors.New("enough")
	if err := l.read(t.Context(), "b", true, func(model.BuildLine) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a reader that stops ends it with %v", err)
	}
}

func TestLogsOfBuildsThatAreForgottenGo(t *testing.T) {
	l := buildLogs{t.TempDir()}
	for _, id := range []string{"kept", "old", "new"} {
		said(t, l, id, "x")
	}
	long := time.Now().Add(-2 * archive.Grace)
	for _, id := range []string{"kept", "old"} {
		if err := os.Chtimes(l.file(id), long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.reclaim([]string{"kept"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(l.file("*"))
	if err != nil || !slices.Equal(left, []string{l.file("kept"), l.file("new")}) {
		t.Errorf("left are %q, %v", left, err)
	}
}
