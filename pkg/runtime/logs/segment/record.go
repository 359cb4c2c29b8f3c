package segment

import "time"

// MaxText is the greatest length of a record's text in bytes; longer lines are split.
const MaxText = 64 << 10

// Record is one line of an app's output, or a part of one.
type Record struct {
	At      time.Time // UTC
	Stderr  bool
	Partial bool   // the line goes on in the container's next record of the same stream
	Text    []byte // without newline
}

// The layout of a record: a time of fixed width, then "stdout" or "stderr", then F or P, then the text, each after one
// space, then a newline.
const (
	timeWidth   = len("2026-11-22T22:35:00.123456789Z")
	streamWidth = len("stdout")
	textAt      = timeWidth + 1 + streamWidth + 1 + 1 + 1
)

// MaxRecord is the greatest length of a record in bytes, its newline included.
const MaxRecord = textAt + MaxText + 1

// Append appends the record to b. Newlines in the text, which would end the record, become spaces.
func (r Record) Append(b []byte) []byte {
	b = appendTime(b, r.At)
	if r.Stderr {
		b = append(b, " stderr "...)
	} else {
		b = append(b, " stdout "...)
	}
	if r.Partial {
		b = append(b, 'P', ' ')
	} else {
		b = append(b, 'F', ' ')
	}
	start := len(b)
	b = append(b, r.Text...)
	for i := start; i < len(b); i++ {
		if b[i] == '\n' {
			b[i] = ' '
		}
	}
	return append(b, '\n')
}

// Parse reads one record, given without its newline. Text shares line's memory. ok is false for what Append did not
// write.
func Parse(line []byte) (r Record, ok bool) {
	if len(line) < textAt || line[timeWidth] != ' ' || line[timeWidth+1+streamWidth] != ' ' || line[textAt-1] != ' ' {
		return Record{}, false
	}
	if r.At, ok = parseTime(line[:timeWidth]); !ok {
		return Record{}, false
	}
	switch string(line[timeWidth+1 : timeWidth+1+streamWidth]) {
	case "stdout":
	case "stderr":
		r.Stderr = true
	default:
		return Record{}, false
	}
	switch line[textAt-2] {
	case 'F':
	case 'P':
		r.Partial = true
	default:
		return Record{}, false
	}
	r.Text = line[textAt:]
	return r, true
}

// appendTime writes RFC 3339 with nine digits of a second. It is written by hand because time.Format links a good
// deal into the log writer, and trims zeros.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond(), 9)
	return append(b, 'Z')
}

func appendDigits(b []byte, n, width int) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0 && i >= len(b)-width; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

func parseTime(b []byte) (time.Time, bool) {
	const layout = "0000-00-00T00:00:00.000000000Z"
	for i := range b {
		if layout[i] == '0' {
			if b[i] < '0' || b[i] > '9' {
				return time.Time{}, false
			}
		} else if b[i] != layout[i] {
			return time.Time{}, false
		}
	}
	month, day := digits(b[5:7]), digits(b[8:10])
	hour, minute, second := digits(b[11:13]), digits(b[14:16]), digits(b[17:19])
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(digits(b[:4]), time.Month(month), day, hour, minute, second, digits(b[20:29]), time.UTC), true
}

func digits(b []byte) (n int) {
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n
}
