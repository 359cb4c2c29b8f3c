//go:build linux

package bindings

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guesttest"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct{ printed, want []string }{
		"pieces":     {[]string{"a", "b\nc", "\r\n\nd"}, []string{"ab", "c", "", "d"}},
		"too long":   {[]string{long + "y\nz\n"}, []string{long, "y", "z"}},
		"just right": {[]string{long + "\nz\n"}, []string{long, "z"}},
		"twice":      {[]string{long[:maxLine-1], "xx\n"}, []string{long, "x"}},
	} {
		var w guesttest.World
		l := Lines{Stream: "stdout"}
		l.Begin(&w)
		for _, p := range c.printed {
			if n, err := l.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		l.End()
		for i := range c.want {
			c.want[i] = "stdout: " + c.want[i]
		}
		if got := w.Lines(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d lines, not %d", name, len(got), len(c.want))
		}
	}
}

func TestWhatIsPrintedBetweenCallsIsKeptUpToALine(t *testing.T) {
	l := Lines{Stream: "stderr"}
	_, _ = l.Write([]byte("panic: no\n"))
	_, _ = l.Write(make([]byte, 10*maxLine))
	if got := l.Text(); !strings.HasPrefix(got, "panic: no\n") || len(l.rest) != maxLine {
		t.Errorf("%d bytes are kept", len(l.rest))
	}
}

func TestALongLineTakesNoTime(t *testing.T) {
	var w guesttest.World
	l := Lines{Stream: "stdout"}
	l.Begin(&w)
	began := time.Now()
	_, _ = l.Write(make([]byte, 64<<20))
	if took := time.Since(began); took > 5*time.Second { // searched for its end anew at each piece it would take minutes
		t.Errorf("64 MB took %s", took)
	}
	if n := len(w.Lines()); n < 4000 {
		t.Errorf("%d lines", n)
	}
}
