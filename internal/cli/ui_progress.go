package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// The columns of a step: name, what is to say of it, time.
const (
	nameWidth   = 10
	detailWidth = 27
)

// progress shows steps, one after the other: on a terminal the step on its way with a spinner and its time, elsewhere
// one plain line when it ends. Close must be called.
type progress struct {
	o     *output
	tty   bool
	ended chan struct{}
	done  sync.WaitGroup

	mu     sync.Mutex
	name   string // of the step on its way; "" for none
	detail string
	since  time.Time
	frame  int
	shown  bool // a spinner line stands on the terminal
}

func (o *output) progress() *progress {
	p := &progress{o: o, tty: terminal(o.err) != nil && !o.quiet, ended: make(chan struct{})}
	if p.tty {
		p.done.Go(p.spin)
	}
	return p
}

func (p *progress) spin() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			p.mu.Lock()
			p.frame++
			p.draw()
			p.mu.Unlock()
		}
	}
}

// draw shows the step on its way. The caller holds mu.
func (p *progress) draw() {
	if !p.tty || p.name == "" {
		return
	}
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	s := p.o.errStyle()
	line := stepLine(string(frames[p.frame%len(frames)]), p.name, p.detail, time.Since(p.since))
	if width, _, err := term.GetSize(int(terminal(p.o.err).Fd())); err == nil && utf8.RuneCountInString(line) >= width && width > 1 {
		line = string([]rune(line)[:width-1])
	}
	_, _ = fmt.Fprint(p.o.err, "\r"+s.faint(line)+"\x1b[K")
	p.shown = true
}

// clear takes the spinner line away. The caller holds mu.
func (p *progress) clear() {
	if p.shown {
		_, _ = fmt.Fprint(p.o.err, "\r\x1b[K")
		p.shown = false
	}
}

// step shows that a step is on its way since a time.
func (p *progress) step(name, detail string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name, p.detail, p.since = name, detail, since
	p.draw()
}

// end shows that a step is over.
func (p *progress) end(ok bool, name, detail string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.name = ""
	if p.o.quiet {
		return
	}
	mark, s := "✓", p.o.errStyle()
	paint := s.good
	if !ok {
		mark, paint = "✗", s.bad
	}
	line := stepLine(mark, name, detail, took)
	_, _ = fmt.Fprintln(p.o.err, strings.Replace(line, mark, paint(mark), 1))
}

// Close ends the spinner and leaves the terminal clean.
func (p *progress) Close() {
	select {
	case <-p.ended:
		return
	default:
	}
	close(p.ended)
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func stepLine(mark, name, detail string, took time.Duration) string {
	return fmt.Sprintf("  %s %s%s%s", mark, pad(name, nameWidth), pad(printable(detail), detailWidth), seconds(took))
}

// pad fills text with spaces to a width, and leaves at least two after it.
func pad(text string, width int) string {
	n := width - utf8.RuneCountInString(text)
	return text + strings.Repeat(" ", max(n, 2))
}
