//go:build linux

package js

import (
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/go-sourcemap/sourcemap"
)

// mainName is what the engine knows a program's module as.
const mainName = "main.js"

// tracer turns positions in a bundle into the author's own.
type tracer struct {
	raw    []byte // the source map; nil where there is none, or it is in a file
	file   string
	once   sync.Once
	parsed *sourcemap.Consumer // nil where it is not one
}

// maxFrames bounds a logged stack.
const maxFrames = 20

// message is an exception for the log: how it came, what it says, its stack.
func (t *tracer) message(how, what, stack string) string {
	if stack = t.stack(stack); stack != "" {
		return how + what + "\n" + stack
	}
	return how + what
}

// stack maps the frames of a stack. Those of the runtime are left out.
func (t *tracer) stack(stack string) string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(stack, "\n"), "\n") {
		frame, ok := strings.CutPrefix(strings.TrimSpace(line), "at ")
		if !ok {
			if line != "" {
				out = append(out, line)
			}
			continue
		}
		if strings.Contains(frame, ownScripts) || strings.HasSuffix(frame, "(native)") {
			continue
		}
		out = append(out, "    at "+t.frame(frame))
		if len(out) == maxFrames {
			break
		}
	}
	return strings.Join(out, "\n")
}

// place returns where the first frame of the author's code is: "src/index.ts:3:7"; "" where there is none.
func (t *tracer) place(stack string) string {
	first, _, _ := strings.Cut(t.stack(stack), "\n")
	frame, ok := strings.CutPrefix(strings.TrimSpace(first), "at ")
	if !ok {
		return ""
	}
	if open := strings.LastIndexByte(frame, '('); open >= 0 {
		frame = strings.TrimSuffix(frame[open+1:], ")")
	}
	return frame
}

// frame maps one frame: "f (main.js:3:7)" or "main.js:3:7".
func (t *tracer) frame(frame string) string {
	name, at := "", frame
	if open := strings.LastIndexByte(frame, '('); open > 0 && strings.HasSuffix(frame, ")") {
		name, at = strings.TrimSpace(frame[:open]), frame[open+1:len(frame)-1]
	}
	position, ok := strings.CutPrefix(at, mainName+":")
	if !ok {
		return frame
	}
	row, column, _ := strings.Cut(position, ":")
	line, err := strconv.Atoi(row)
	if err != nil {
		return frame
	}
	col, _ := strconv.Atoi(column)
	file, line, col := t.find(line, col)
	at = file + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(col)
	if name == "" || name == "<anonymous>" {
		return at
	}
	return name + " (" + at + ")"
}

// find returns the author's position of one in the bundle. Lines and columns count from 1.
func (t *tracer) find(line, col int) (string, int, int) {
	t.once.Do(func() {
		raw := t.raw
		if t.file != "" {
			raw, _ = os.ReadFile(t.file) // without it the bundle's own lines are shown
		}
		if len(raw) > 0 {
			t.parsed, _ = sourcemap.Parse("", raw)
		}
	})
	if t.parsed == nil {
		return mainName, line, col
	}
	file, _, l, c, ok := t.parsed.Source(line, max(col-1, 0))
	if !ok || file == "" {
		return mainName, line, col
	}
	for strings.HasPrefix(file, "../") {
		file = file[3:]
	}
	return path.Clean(file), l, c + 1
}

// topLevelHint says what to do about an exception at a module's top level.
func topLevelHint(what string) string {
	switch {
	case strings.Contains(what, "could not load module"):
		return "functions have no Node.js modules and no file system; bundle the dependency (pandabox does), or use the web's own API"
	case strings.HasPrefix(what, "SyntaxError"):
		return "correct the syntax; require() and other CommonJS need the bundle that pandabox fn deploy makes"
	case strings.Contains(what, "is not defined"):
		return "functions have the web platform's globals, not Node.js's"
	}
	return "correct it and deploy again; pandabox fn dev shows it as you save"
}
