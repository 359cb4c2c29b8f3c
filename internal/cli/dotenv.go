package cli

import (
	"fmt"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// parseDotenv reads lines of NAME=value, with or without export before them. A value may stand in single quotes, where
// nothing is special, or in double quotes, where \n, \t, \r, \", \\ and \$ are; quoted values may span lines. Nothing is
// expanded: a $ in a password stays one. After an unquoted value, a comment begins with a space and #.
func parseDotenv(file, text string) (map[string]string, error) {
	out := map[string]string{}
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	for line := 1; text != ""; {
		bad := func(format string, args ...any) error {
			return model.Invalid("%s:%d: %s", file, line, fmt.Sprintf(format, args...)).WithHint(`write NAME=value, or NAME="two words"`)
		}
		raw, rest, _ := strings.Cut(text, "\n")
		stripped := strings.TrimSpace(raw)
		if stripped == "" || stripped[0] == '#' {
			text, line = rest, line+1
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(stripped, "export "), "=")
		if !ok {
			return nil, bad("this is not NAME=value")
		}
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		lines := 1
		if value != "" && (value[0] == '"' || value[0] == '\'') {
			whole := text[strings.Index(text, "=")+1:]
			whole = strings.TrimLeft(whole, " \t")
			end := closing(whole)
			if end < 0 {
				return nil, bad("the quote is not closed")
			}
			lines += strings.Count(whole[:end], "\n")
			after, left, _ := strings.Cut(whole[end+1:], "\n")
			if after = strings.TrimSpace(after); after != "" && after[0] != '#' {
				return nil, bad("something stands after the closing quote")
			}
			value, rest = whole[1:end], left
			if whole[0] == '"' {
				value = unescape(value)
			}
		} else if i := strings.Index(value, " #"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		if err := model.CheckVariable(name, value); err != nil {
			return nil, bad("%s", err)
		}
		out[name] = value
		text, line = rest, line+lines
	}
	return out, nil
}

// closing returns the index of the quote that ends the one s begins with, -1 for none.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == s[0]:
			return i
		}
	}
	return -1
}

func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\r`, "\r", `\"`, `"`, `\$`, "$").Replace(s)
}
