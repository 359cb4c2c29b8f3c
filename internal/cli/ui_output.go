package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// output is where a command's words go: results to out, everything said along the way to err.
type output struct {
	in       io.Reader
	out, err io.Writer
	json     bool // results as JSON
	quiet    bool // nothing along the way
	noColor  bool
}

// file returns the terminal behind a stream, nil where it is none.
func terminal(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// interactive tells whether a person can be asked.
func (o *output) interactive() bool { return terminal(o.in) != nil && terminal(o.err) != nil }

func (o *output) outStyle() style { return style{on: !o.noColor && terminal(o.out) != nil} }
func (o *output) errStyle() style { return style{on: !o.noColor && terminal(o.err) != nil} }

// say prints a line along the way: not with --quiet.
func (o *output) say(format string, args ...any) {
	if !o.quiet {
		_, _ = fmt.Fprintf(o.err, format+"\n", args...)
	}
}

// done prints a ✓ and what was done: not with --quiet or --json.
func (o *output) done(format string, args ...any) {
	if !o.quiet && !o.json {
		_, _ = fmt.Fprintf(o.out, o.outStyle().good("✓")+" "+format+"\n", args...)
	}
}

// line prints a line of the result.
func (o *output) line(format string, args ...any) error {
	_, err := fmt.Fprintf(o.out, format+"\n", args...)
	return err
}

// writeJSON prints v, indented.
func (o *output) writeJSON(v any) error {
	e := json.NewEncoder(o.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// list prints items as JSON, or as a table, or what to say of an empty list.
func list[T any](o *output, items []T, empty string, head []string, row func(*table, T)) error {
	if o.json {
		if items == nil {
			items = []T{}
		}
		return o.writeJSON(items)
	}
	if len(items) == 0 {
		o.say("%s", empty)
		return nil
	}
	t := table{head: head}
	for _, it := range items {
		row(&t, it)
	}
	return t.write(o.out, o.outStyle())
}
