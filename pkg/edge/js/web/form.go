package web

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

// Bounds of a multipart form.
const (
	maxParts    = 10_000
	maxPartHead = 16 << 10 // bytes
)

func formFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "decodeForm", Call: decodeForm},
		{Name: "encodeForm", Call: encodeForm},
		{Name: "parseMultipart", Call: parseMultipart},
	}
}

// decodeForm(text) → what a name or value of application/x-www-form-urlencoded stands for.
func decodeForm(_ context.Context, a bridge.Args) (bridge.Value, error) {
	s := a.String(0)
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			out = append(out, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	text, _, _ := decodeUTF8(out, true)
	return bridge.String(text), nil
}

// encodeForm(text) → its form in application/x-www-form-urlencoded.
func encodeForm(_ context.Context, a bridge.Args) (bridge.Value, error) {
	s := a.String(0)
	var out strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			out.WriteByte('+')
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', strings.IndexByte("*-._", c) >= 0:
			out.WriteByte(c)
		default:
			const digits = "0123456789ABCDEF"
			out.WriteByte('%')
			out.WriteByte(digits[c>>4])
			out.WriteByte(digits[c&15])
		}
	}
	return bridge.String(out.String()), nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// parseMultipart(bytes, boundary) → a flat list of name, file name or null, type, and a string or (of a file) bytes.
// https://andreubotella.github.io/multipart-form-data/#multipart-form-data-parser
func parseMultipart(_ context.Context, a bridge.Args) (bridge.Value, error) {
	b, delimiter := a.Bytes(0), []byte("--"+a.String(1))
	bad := func(what string) (bridge.Value, error) {
		return bridge.Undefined(), bridge.Throw("TypeError", "the body is not multipart/form-data: "+what)
	}
	if !bytes.HasPrefix(b, delimiter) {
		i := bytes.Index(b, append([]byte("\r\n"), delimiter...))
		if i < 0 {
			return bad("the boundary is missing")
		}
		b = b[i+2:]
	}
	var all []bridge.Value
	end := append([]byte("\r\n"), delimiter...)
	for {
		b = b[len(delimiter):]
		if bytes.HasPrefix(b, []byte("--")) {
			return bridge.List(all...), nil
		}
		b = bytes.TrimLeft(b, " \t")
		if !bytes.HasPrefix(b, []byte("\r\n")) {
			return bad("a boundary is not at the end of a line")
		}
		p, rest, err := partHead(b[2:])
		if err != "" {
			return bad(err)
		}
		i := bytes.Index(rest, end)
		if bytes.HasPrefix(rest, delimiter) { // an empty part without its own line end
			i = -2
		}
		if i == -1 {
			return bad("a part has no end")
		}
		content := rest[:max(i, 0)]
		value := bridge.Bytes(content)
		if p.filename.Kind() == bridge.KindNull {
			text, _, _ := decodeUTF8(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), true)
			value = bridge.String(text)
		}
		if len(all) >= 4*maxParts {
			return bad("it has more than 10000 parts")
		}
		all = append(all, bridge.String(p.name), p.filename, bridge.String(p.kind), value)
		b = rest[i+2:]
	}
}

// part is what the head of one part says.
type part struct {
	name, kind string
	filename   bridge.Value
}

func partHead(b []byte) (p part, rest []byte, bad string) {
	p.filename = bridge.Null()
	named := false
	for left := maxPartHead; ; {
		line, after, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok || len(line) > left {
			return p, nil, "the head of a part has no end"
		}
		left -= len(line)
		b = after
		if len(line) == 0 {
			break
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return p, nil, "a header of a part has no colon"
		}
		value = bytes.Trim(value, " \t")
		switch strings.ToLower(string(bytes.TrimSpace(key))) {
		case "content-disposition":
			if p.name, named = parameter(value, "name"); !named {
				return p, nil, "a part has no name"
			}
			if f, ok := parameter(value, "filename"); ok {
				p.filename = bridge.String(f)
				if p.kind == "" {
					p.kind = "text/plain"
				}
			}
		case "content-type":
			p.kind = string(value)
		}
	}
	if !named {
		return p, nil, "a part has no name"
	}
	return p, b, ""
}

// parameter finds name="…" in a Content-Disposition and undoes the escapes browsers write.
func parameter(disposition []byte, name string) (string, bool) {
	rest := string(disposition)
	for {
		i := strings.IndexByte(rest, ';')
		if i < 0 {
			return "", false
		}
		rest = strings.TrimLeft(rest[i+1:], " \t")
		key, value, ok := strings.Cut(rest, "=")
		if !ok {
			return "", false
		}
		quoted := strings.HasPrefix(value, `"`)
		var text string
		if quoted {
			text, rest, ok = strings.Cut(value[1:], `"`)
			if !ok {
				return "", false
			}
		} else if j := strings.IndexByte(value, ';'); j >= 0 {
			text, rest = strings.TrimSpace(value[:j]), value[j:]
		} else {
			text, rest = strings.TrimSpace(value), ""
		}
		if strings.EqualFold(strings.TrimSpace(key), name) {
			if !utf8.ValidString(text) {
				text, _, _ = decodeUTF8([]byte(text), true)
			}
			return strings.NewReplacer("%22", `"`, "%0D", "\r", "%0A", "\n").Replace(text), true
		}
	}
}
