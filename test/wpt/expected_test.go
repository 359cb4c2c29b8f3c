//go:build linux

package wpt

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// expected is what the file of that name says: which tests do not run, and which fail, each with a reason.
//
// A line "# text" is the reason for the lines after it. "FILE" alone is a file that is not run, "FILE :: NAME" a subtest
// that fails. FILE and NAME may end in "*".
type expected struct {
	skipped, failing []pattern
}

type pattern struct {
	file, name string
	used       bool
}

func readExpected(tb testing.TB) *expected {
	tb.Helper()
	f, err := os.Open("expected.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	e := &expected{}
	reason := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if text, ok := strings.CutPrefix(line, "# "); ok {
			reason = text
			continue
		}
		if line == "" {
			reason = ""
			continue
		}
		if reason == "" {
			tb.Fatalf("expected.txt: no reason is given for %q", line)
		}
		if file, name, ok := strings.Cut(line, " :: "); ok {
			e.failing = append(e.failing, pattern{file: file, name: name})
		} else {
			e.skipped = append(e.skipped, pattern{file: line})
		}
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return e
}

// skips tells whether a file is not run.
func (e *expected) skips(file string) bool {
	for i := range e.skipped {
		if like(e.skipped[i].file, file) {
			e.skipped[i].used = true
			return true
		}
	}
	return false
}

// fails tells whether a subtest is to fail.
func (e *expected) fails(file, name string) bool {
	found := false
	for i := range e.failing {
		if p := &e.failing[i]; like(p.file, file) && like(p.name, name) {
			p.used, found = true, true
		}
	}
	return found
}

// unused are lines that nothing matched.
func (e *expected) unused() []string {
	var all []string
	for _, p := range e.skipped {
		if !p.used {
			all = append(all, p.file)
		}
	}
	for _, p := range e.failing {
		if !p.used {
			all = append(all, p.file+" :: "+p.name)
		}
	}
	return all
}

func like(pattern, s string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, p)
	}
	return pattern == s
}

// failsExactly is fails for lines without a "*".
func (e *expected) failsExactly(file, name string) bool {
	for _, p := range e.failing {
		if like(p.file, file) && p.name == name {
			return true
		}
	}
	return false
}
