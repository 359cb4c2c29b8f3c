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
	under  string // a second line, of what goes on inside of the step; "" for none
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
	line := p.fit(stepLine(string(frames[p.frame%len(frames)]), p.name, p.detail, time.Since(p.since)))
	text := "\r" + s.faint(line) + "\x1b[K"
	if p.under != "" {
		text += "\n" + s.faint(p.fit("      "+printable(p.under))) + "\x1b[K\x1b[1A\r"
	}
	_, _ = fmt.Fprint(p.o.err, text)
	p.shown = true
}

// fit cuts a line so that the terminal does not break it.
func (p *progress) fit(line string) string {
	if width, _, err := term.GetSize(int(terminal(p.o.err).Fd())); err == nil && utf8.RuneCountInString(line) >= width && width > 1 {
		return string([]rune(line)[:width-1])
	}
	return line
}

// clear takes the lines of the step on its way away. The caller holds mu.
func (p *progress) clear() {
	if !p.shown {
		return
	}
	rest := "\x1b[K" // of the line
	if p.under != "" {
		rest = "\x1b[J" // of the screen
	}
	_, _ = fmt.Fprint(p.o.err, "\r"+rest)
	p.shown = false
}

// step shows that a step is on its way since a time.
func (p *progress) step(name, detail string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name != name {
		p.inside("")
	}
	p.name, p.detail, p.since = name, detail, since
	p.draw()
}

// both is step and note at once.
func (p *progress) both(name, detail, note string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tty {
		p.inside(note)
	}
	p.name, p.detail, p.since = name, detail, since
	p.draw()
}

// note shows what goes on inside of the step on its way: on a terminal only, under its line.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tty && p.name != "" {
		p.inside(text)
		p.draw()
	}
}

// inside changes the second line. The caller holds mu.
func (p *progress) inside(text string) {
	if text == "" && p.under != "" {
		p.clear()
	}
	p.under = text
}

// line prints a whole line over the step on its way.
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.o.quiet {
		return
	}
	p.clear()
	_, _ = fmt.Fprintln(p.o.err, text)
	p.draw()
}

// end shows that a step is over.
func (p *progress) end(ok bool, name, detail string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.name, p.under = "", ""
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
