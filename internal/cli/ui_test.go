package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func TestUnits(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for got, want := range map[string]string{
		size(0): "0 B", size(1023): "1023 B", size(1024): "1.0 KB", size(1_258_291): "1.2 MB", size(256 << 20): "256 MB",
		size(1<<20 - 1): "1.0 MB", size(1<<30 + 1<<29): "1.5 GB", size(5 << 40): "5.0 TB", size(9000 << 40): "9000 TB",
		seconds(-time.Second): "0.0 s", seconds(400 * time.Millisecond): "0.4 s", seconds(59940 * time.Millisecond): "59.9 s",
		seconds(125 * time.Second): "2 min 5 s", seconds(2*time.Hour + 3*time.Minute): "2 h 3 min",
		ago(now, time.Time{}): "never", ago(now, now): "just now", ago(now, now.Add(-90*time.Second)): "1 min ago",
		ago(now, now.Add(-47*time.Hour)): "47 h ago", ago(now, now.Add(-49*time.Hour)): "2 d ago", ago(now, now.Add(3*time.Hour)): "in 3 h",
		cores(0): "-", cores(500): "0.5", cores(2000): "2", number(0): "-", number(7): "v7", count(1, "app"): "1 app", count(0, "app"): "0 apps",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := seconds(59980 * time.Millisecond); got != "1 min 0 s" {
		t.Errorf("just under a minute is %q", got)
	}
}

func TestTable(t *testing.T) {
	tb := table{head: []string{"APP", "STATE", "URL"}}
	tb.add("shop", "running", "https://shop")
	tb.paint(1, style{on: true}.good)
	tb.add("größe-\x1b[2J", "down", "")
	var b strings.Builder
	if err := tb.write(&b, style{}); err != nil {
		t.Fatal(err)
	}
	want := "APP         STATE    URL\nshop        \x1b[32mrunning\x1b[0m  https://shop\ngröße-�[2J  down\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

func TestDefuse(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "": "", "\x1b[31mred\x1b[0m": "\x1b[31mred\x1b[0m", "\x1b[1;31mred": "\x1b[1;31mred",
		"\x1b[2Jgone": "\ufffd[2Jgone", "\x1b]0;title\a": "\ufffd]0;title\ufffd", "a\rb\x9bc": "a\ufffdb\ufffdc", "\x1b": "\ufffd", "\x1b[31": "\ufffd[31",
	} {
		if got := defuse(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestWriteError(t *testing.T) {
	e := model.Errorf(model.KindNotFound, "no\x1b[2J such app").WithWhy("two\nlines").WithHint("look again")
	var b strings.Builder
	writeError(&b, style{}, false, fmt.Errorf("doing it: %w", e))
	if want := "error: no\ufffd[2J such app\n  two\n  lines\n  try: look again\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
	b.Reset()
	writeError(&b, style{}, true, model.Invalid("bad").Wrap(errors.New("cause")))
	if want := `{"error":{"kind":"invalid","what":"bad","why":"cause"}}` + "\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
	b.Reset()
	writeError(&b, style{}, false, errors.New("plain"))
	if b.String() != "error: plain\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("x"), 1}, {model.Errorf(model.KindInternal, "x"), 1}, {model.Errorf(model.KindUnavailable, "x"), 1},
		{model.Errorf(model.KindNoSpace, "x"), 1}, {model.Conflict("x"), 1}, {model.Invalid("x"), 2}, {model.Errorf(model.KindUnauthenticated, "x"), 3},
		{model.Errorf(model.KindForbidden, "x"), 3}, {fmt.Errorf("doing: %w", model.NotFound("x")), 4}, {model.Errorf(model.KindRolledBack, "x"), 5},
		{model.Errorf(model.KindTimeout, "x"), 6}, {context.DeadlineExceeded, 6}, {model.Errorf(model.KindCanceled, "x"), 130}, {context.Canceled, 130},
		{&exitError{code: 42}, 42}, {&exitError{1, model.NotFound("x")}, 1},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}

func TestOutcome(t *testing.T) {
	cause := model.Invalid("the image has no command")
	for _, c := range []struct {
		state model.DeployState
		err   *model.Error
		want  int
		what  string
	}{
		{model.DeploySucceeded, nil, 0, ""},
		{model.DeployRolledBack, cause, 5, "the image has no command"},
		{model.DeployRolledBack, nil, 5, "the deploy of shop did not succeed"},
		{model.DeployFailed, cause, 1, "the image has no command"},
		{model.DeployFailed, model.Errorf(model.KindTimeout, "late"), 1, "late"},
		{model.DeployCanceled, nil, 130, "the deploy of shop was canceled"},
		{model.DeploySuperseded, nil, 1, "a newer deploy of shop took over"},
	} {
		err := outcome(api.Deploy{App: "shop", Deploy: model.Deploy{State: c.state, Error: c.err}}, client.Ref{App: "shop"})
		if got := exitCode(err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.state, got, c.want)
		}
		if err != nil && describe(err).What != c.what {
			t.Errorf("%s: %q, want %q", c.state, describe(err).What, c.what)
		}
	}
	if cause.Kind != model.KindInvalid {
		t.Error("the deploy's own error was changed")
	}
}
