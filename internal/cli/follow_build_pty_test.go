package cli

import (
	"strings"
	"testing"
)

// TestBuildOnTerminal shows the newest line of a build under its step, and the end of a step that fails.
func TestBuildOnTerminal(t *testing.T) {
	w, dir := startWorld(t), t.TempDir()
	put(t, dir, "Dockerfile", "FROM scratch\nRUN echo one && sleep\n")
	c := onConsoleIn(t, w, dir, nil, "deploy", "-a", "shop")
	c.expect(`build     `)
	c.expect(`\n\x1b\[2m      \[2/2\] one\x1b\[0m\x1b\[K\x1b\[1A\r`)
	c.typed("\x03")
	c.ended(ExitInterrupted)
	c.expect(`interrupted; deploy deploy-[0-9a-z]+ was canceled`)
	if s := c.shown(); strings.LastIndex(s, "\x1b[1A") > strings.LastIndex(s, "\r\x1b[J") {
		t.Errorf("a line is left under the step:\n%q", s)
	}

	put(t, dir, "Dockerfile", "FROM scratch\nRUN echo all is well\nRUN echo no such function && false\n")
	c = onConsoleIn(t, w, dir, nil, "deploy", "-a", "shop")
	c.ended(ExitFailed)
	c.expect("\x1b\\[31m✗\x1b\\[0m build ")
	c.expect(`    RUN echo no such function && false\r\n    no such function\r\n`)
	if strings.Contains(c.shown(), "    all is well") {
		t.Errorf("a step that succeeded is shown too:\n%s", c.shown())
	}

	c = onConsoleIn(t, w, dir, nil, "deploy", "-a", "shop", "--verbose")
	c.ended(ExitFailed)
	c.expect(`\[2/3\] all is well\r\n`)
	if n := strings.Count(c.shown(), "no such function\r\n"); n != 1 {
		t.Errorf("the last line is shown %d times:\n%s", n, c.shown())
	}
}
