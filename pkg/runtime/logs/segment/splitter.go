package segment

import "bytes"

// Splitter cuts a stream of bytes into lines of at most MaxText bytes.
type Splitter struct {
	pending []byte // the beginning of a line whose end has not come yet; shorter than MaxText
}

// Split hands each line of p to emit, without its newline; partial says that the line goes on in the next call of emit.
// The end of p may be the middle of a line: it is kept for the next Split. text is valid only during emit.
func (s *Splitter) Split(p []byte, emit func(text []byte, partial bool)) {
	for len(p) > 0 {
		line, whole := p, false
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line, whole = p[:i], true
		}
		room := MaxText - len(s.pending)
		switch {
		case len(line) > room || len(line) == room && !whole:
			line, whole = line[:room], false
		case !whole:
			s.pending = append(s.pending, line...)
			return
		}
		p = p[len(line):]
		if whole {
			p = p[1:]
		}
		if len(s.pending) > 0 {
			line = append(s.pending, line...)
			s.pending = line[:0]
		}
		emit(line, !whole)
	}
}

// End hands on the last line where it had no newline.
func (s *Splitter) End(emit func(text []byte, partial bool)) {
	if len(s.pending) > 0 {
		emit(s.pending, false)
		s.pending = s.pending[:0]
	}
}
