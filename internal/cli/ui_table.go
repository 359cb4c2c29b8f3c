package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table is a list with aligned columns under a heading.
type table struct {
	head []string
	rows [][]cell
}

// cell is a text and how to colour it once it is padded; nil leaves it plain.
type cell struct {
	text  string
	paint func(string) string
}

func plain(texts ...string) []cell {
	out := make([]cell, len(texts))
	for i, t := range texts {
		out[i] = cell{text: t}
	}
	return out
}

// add appends a row.
func (t *table) add(texts ...string) { t.rows = append(t.rows, plain(texts...)) }

// paint colours a cell of the row added last.
func (t *table) paint(column int, how func(string) string) {
	t.rows[len(t.rows)-1][column].paint = how
}

// write prints the table. Columns stand two spaces apart; the last is not padded.
func (t *table) write(w io.Writer, s style) error {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, row := range t.rows {
		for i := range row {
			row[i].text = printable(row[i].text)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	var b strings.Builder
	line := func(row []cell) {
		var l strings.Builder
		for i, c := range row {
			text := c.text
			if c.paint != nil {
				text = c.paint(text)
			}
			l.WriteString(text)
			if i < len(row)-1 {
				l.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	head := plain(t.head...)
	for i := range head {
		head[i].paint = s.faint
	}
	line(head)
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
