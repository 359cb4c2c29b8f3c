package web

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

func textFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "encodeText", Call: encodeText},
		{Name: "encodeInto", Call: encodeInto},
		{Name: "encodingName", Call: encodingName},
		{Name: "decodeText", Call: decodeText},
		{Name: "decodePlain", Call: decodePlain},
		{Name: "decodePiece", Call: decodePiece},
	}
}

// encodeText(text) → bytes.
func encodeText(_ context.Context, a bridge.Args) (bridge.Value, error) {
	return bridge.Bytes([]byte(a.String(0))), nil
}

// encodeInto(text, bytes) → [UTF-16 units read, bytes written].
func encodeInto(_ context.Context, a bridge.Args) (bridge.Value, error) {
	text, to := a.String(0), a.Bytes(1)
	read, written := 0, 0
	for _, r := range text {
		n := utf8.RuneLen(r)
		if written+n > len(to) {
			break
		}
		written += utf8.EncodeRune(to[written:], r)
		read++
		if r >= 0x10000 {
			read++
		}
	}
	return bridge.List(bridge.Number(float64(read)), bridge.Number(float64(written))), nil
}

// encodingName(label) → the name of the encoding, null where there is none.
func encodingName(_ context.Context, a bridge.Args) (bridge.Value, error) {
	label := strings.Trim(a.String(0), "\t\n\f\r ")
	if label == "" || strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return bridge.Null(), nil
	}
	if name, ok := moreLabels(strings.ToLower(label)); ok {
		return bridge.String(name), nil
	}
	e, err := htmlindex.Get(label)
	if err != nil {
		return bridge.Null(), nil //nolint:nilerr // no encoding is an answer
	}
	name, err := htmlindex.Name(e)
	if err != nil || name == "replacement" {
		return bridge.Null(), nil //nolint:nilerr // as above
	}
	return bridge.String(name), nil
}

// moreLabels are those of the standard that x/text does not know.
func moreLabels(label string) (string, bool) {
	switch label {
	case "unicode11utf8", "unicode20utf8", "x-unicode20utf8":
		return "utf-8", true
	case "csunicode", "iso-10646-ucs-2", "ucs-2", "unicode", "unicodefeff":
		return "utf-16le", true
	case "unicodefffe":
		return "utf-16be", true
	}
	return "", false
}

// decodeText(encoding, bytes, fatal, ignoreBOM) → text: all of it at once.
func decodeText(_ context.Context, a bridge.Args) (bridge.Value, error) {
	text, _, err := decode(a.String(0), a.Bytes(1), a.Bool(2), a.Bool(3), true)
	return bridge.String(text), err
}

// decodePlain(bytes) → text: UTF-8 without its byte order mark.
func decodePlain(_ context.Context, a bridge.Args) (bridge.Value, error) {
	text, _, _ := decodeUTF8(bytes.TrimPrefix(a.Bytes(0), []byte("\xef\xbb\xbf")), true)
	return bridge.String(text), nil
}

// decodePiece(encoding, bytes, fatal, ignoreBOM, last) → [text, what is to stand before the next piece or null, whether
// anything was decoded]. With last the answer is the text alone, in a list.
func decodePiece(_ context.Context, a bridge.Args) (bridge.Value, error) {
	b, last := a.Bytes(1), a.Bool(4)
	if !last && !a.Bool(3) && beginsBOM(a.String(0), b) {
		return bridge.List(bridge.String(""), bridge.Bytes(b), bridge.Bool(false)), nil
	}
	text, rest, err := decode(a.String(0), b, a.Bool(2), a.Bool(3), last)
	if err != nil {
		return bridge.Undefined(), err
	}
	tail := bridge.Null()
	if len(rest) > 0 {
		tail = bridge.Bytes(rest)
	}
	return bridge.List(bridge.String(text), tail, bridge.Bool(len(rest) < len(b))), nil
}

// marks are the byte order marks.
func mark(name string) string {
	switch name {
	case "utf-8":
		return "\xef\xbb\xbf"
	case "utf-16le":
		return "\xff\xfe"
	case "utf-16be":
		return "\xfe\xff"
	}
	return ""
}

// beginsBOM tells whether b is a part of a byte order mark that lacks its end.
func beginsBOM(name string, b []byte) bool {
	m := mark(name)
	return len(b) > 0 && len(b) < len(m) && strings.HasPrefix(m, string(b))
}

func decode(name string, b []byte, fatal, ignoreBOM, last bool) (text string, rest []byte, err error) {
	if m := mark(name); m != "" && !ignoreBOM {
		b = bytes.TrimPrefix(b, []byte(m))
	}
	var wrong bool
	switch name {
	case "utf-8":
		text, rest, wrong = decodeUTF8(b, last)
	case "utf-16le", "utf-16be":
		text, rest, wrong = decodeUTF16(b, name == "utf-16be", last)
	default:
		e, err := legacy(name)
		if err != nil {
			return "", nil, bridge.Throw("RangeError", "there is no encoding of the name "+name)
		}
		if c, ok := e.(*charmap.Charmap); ok {
			text = decodeBytes(c, b)
		} else if text, rest, err = decodeLegacy(e, name, b, last); err != nil {
			return "", nil, err
		}
		wrong = strings.ContainsRune(text, utf8.RuneError)
	}
	if wrong && fatal {
		return "", nil, bridge.Throw("TypeError", "the bytes are not valid "+name)
	}
	return text, rest, nil
}

// legacy finds the decoder of an encoding: x/text's, but for two that the standard decodes as others.
func legacy(name string) (encoding.Encoding, error) {
	switch name {
	case "gbk":
		return simplifiedchinese.GB18030, nil
	case "iso-8859-8-i":
		return charmap.ISO8859_8, nil
	}
	return htmlindex.Get(name)
}

// decodeBytes decodes an encoding of single bytes. Where x/text has nothing for one of the upper control characters, the
// standard has itself.
func decodeBytes(c *charmap.Charmap, b []byte) string {
	var out strings.Builder
	out.Grow(len(b))
	for _, x := range b {
		r := c.DecodeByte(x)
		if r == utf8.RuneError && x >= 0x80 && x < 0xa0 {
			r = rune(x)
		}
		out.WriteRune(r)
	}
	return out.String()
}

// decodeLegacy decodes with x/text, which puts U+FFFD where something is wrong. What it could not finish is the rest; of
// ISO-2022-JP, which has modes, the sequence that chose the mode stands before it.
func decodeLegacy(e encoding.Encoding, name string, b []byte, last bool) (string, []byte, error) {
	d := e.NewDecoder()
	var out strings.Builder
	var buf [4096]byte
	done := 0
	for {
		n, used, err := d.Transform(buf[:], b[done:], last)
		out.Write(buf[:n])
		done += used
		if errors.Is(err, transform.ErrShortDst) && n > 0 {
			continue
		}
		if err != nil && !errors.Is(err, transform.ErrShortSrc) {
			return "", nil, err
		}
		break
	}
	rest := b[done:]
	if name == "iso-2022-jp" && !last {
		if at := bytes.LastIndexByte(b[:done], 0x1b); at >= 0 && at+3 <= len(b) {
			rest = append(bytes.Clone(b[at:at+3]), rest...)
		}
	}
	return out.String(), rest, nil
}
