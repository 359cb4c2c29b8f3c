package cli

import "strings"

// style colours text, or leaves it alone where nobody looks or NO_COLOR asks for it.
type style struct{ on bool }

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) good(text string) string  { return s.paint("32", text) }
func (s style) bad(text string) string   { return s.paint("31", text) }
func (s style) warn(text string) string  { return s.paint("33", text) }
func (s style) faint(text string) string { return s.paint("2", text) }
func (s style) bold(text string) string  { return s.paint("1", text) }

// state colours the word of a state by what it means for its reader.
func (s style) state(word string) string {
	switch word {
	case "running", "healthy", "succeeded", "ok":
		return s.good(word)
	case "down", "unhealthy", "failed", "backoff", "rolled back":
		return s.bad(word)
	case "degraded", "starting", "draining", "removing", "canceled":
		return s.warn(word)
	}
	return word
}

// lane returns a steady colour for a name, so that each process keeps its own.
func (s style) lane(name, text string) string {
	sum := 0
	for _, r := range name {
		sum = sum*31 + int(r)
	}
	lanes := []string{"36", "35", "34", "33", "32", "96", "95", "94"}
	return s.paint(lanes[uint(sum)%uint(len(lanes))], text)
}

// printable replaces control characters, so that text from elsewhere cannot steer the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text)
}
