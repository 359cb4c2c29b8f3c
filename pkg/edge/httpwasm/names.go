//go:build linux

package httpwasm

import "strings"

// names turns what a guest calls headers into what net/http calls them, and keeps short strings it has made: a guest says
// the same few in every request.
type names struct {
	known   map[string]string
	scratch [64]byte
}

// maxKnown and maxLength bound what is kept of one isolate: what a request can choose must not fill memory.
const (
	maxKnown  = 64
	maxLength = 64
)

// text returns b as a string.
func (n *names) text(b []byte) string {
	if len(b) > maxLength {
		return string(b)
	}
	if s, ok := n.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if n.known == nil {
		n.known = map[string]string{}
	}
	if len(n.known) < maxKnown {
		n.known[s] = s
	}
	return s
}

// canonical returns a header's name as net/http writes it, "" where it is no name.
func (n *names) canonical(b []byte) string {
	if len(b) > maxLength {
		return longCanonical(string(b))
	}
	if !canonicalInto(n.scratch[:len(b)], b) {
		return ""
	}
	return n.text(n.scratch[:len(b)])
}

func longCanonical(name string) string {
	b := make([]byte, len(name))
	if !canonicalInto(b, []byte(name)) {
		return ""
	}
	return string(b)
}

func canonicalInto(to, from []byte) bool {
	upper := true
	for i, c := range from {
		switch {
		case c >= 'a' && c <= 'z' && upper:
			c -= 'a' - 'A'
		case c >= 'A' && c <= 'Z' && !upper:
			c += 'a' - 'A'
		case !tokenByte(c):
			return false
		}
		to[i] = c
		upper = c == '-'
	}
	return len(from) > 0
}

// tokenByte tells whether c may stand in a token of HTTP (RFC 9110, 5.6.2).
func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func token(s string) bool {
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}
