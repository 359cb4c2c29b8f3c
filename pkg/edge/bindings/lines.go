//go:build linux

package bindings

import (
	"bytes"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// maxLine is how long a printed line may get before it is cut in two, in bytes.
const maxLine = 16 << 10

// Lines makes log lines of what a guest prints to one stream. What is printed between calls is kept, up to one line of
// it: a guest that fails while it starts says why there.
type Lines struct {
	Stream string // "stdout" or "stderr"

	world guest.World
	rest  []byte
}

// Begin sends lines to w from now on.
func (l *Lines) Begin(w guest.World) { l.world = w }

// End sends what is left of a line.
func (l *Lines) End() {
	if len(l.rest) > 0 && l.world != nil {
		l.world.Log(l.Stream, string(l.rest))
		l.rest = l.rest[:0]
	}
	l.world = nil
}

// Text returns what was printed and not sent.
func (l *Lines) Text() string { return string(bytes.TrimSpace(l.rest)) }

// Write never fails: a guest does not stop for its log.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	if l.world == nil {
		l.rest = append(l.rest, p[:min(n, maxLine-min(len(l.rest), maxLine))]...)
		return n, nil
	}
	for len(p) > 0 {
		room := maxLine - len(l.rest)
		at := bytes.IndexByte(p[:min(len(p), room+1)], '\n') // a search of all of p for each piece would never end
		switch {
		case at >= 0:
			l.send(p[:at])
			p = p[at+1:]
		case len(p) > room:
			l.send(p[:room])
			p = p[room:]
		default:
			l.rest = append(l.rest, p...)
			p = nil
		}
	}
	return n, nil
}

func (l *Lines) send(end []byte) {
	l.rest = append(l.rest, end...)
	l.world.Log(l.Stream, string(bytes.TrimSuffix(l.rest, []byte("\r"))))
	l.rest = l.rest[:0]
}

// Line writes text as lines of its own.
func (l *Lines) Line(text []byte) {
	if len(l.rest) > 0 {
		_, _ = l.Write([]byte{'\n'})
	}
	_, _ = l.Write(bytes.TrimSuffix(text, []byte("\n")))
	_, _ = l.Write([]byte{'\n'})
}
