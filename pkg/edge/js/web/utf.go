package web

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeUTF8 decodes, with one U+FFFD for each maximal part of a sequence that is none. rest is the begin of a sequence at
// the end of b, unless it is the last piece. https://encoding.spec.whatwg.org/#utf-8-decoder
func decodeUTF8(b []byte, last bool) (text string, rest []byte, wrong bool) {
	if utf8.Valid(b) {
		return string(b), nil, false
	}
	var out strings.Builder
	out.Grow(len(b) + 8)
	for len(b) > 0 {
		if r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1 {
			out.Write(b[:n])
			b = b[n:]
			continue
		}
		n, whole := brokenUTF8(b)
		if !whole && !last {
			return out.String(), b, wrong
		}
		wrong = true
		out.WriteRune(utf8.RuneError)
		b = b[n:]
	}
	return out.String(), nil, wrong
}

// brokenUTF8 returns how many bytes of b, which begins no valid sequence, one U+FFFD stands for. ended is false where
// more bytes could complete it.
func brokenUTF8(b []byte) (n int, ended bool) {
	var need int
	low, high := byte(0x80), byte(0xbf)
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		need = 1
	case c >= 0xe0 && c <= 0xef:
		need = 2
		if c == 0xe0 {
			low = 0xa0
		} else if c == 0xed {
			high = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		need = 3
		if c == 0xf0 {
			low = 0x90
		} else if c == 0xf4 {
			high = 0x8f
		}
	default:
		return 1, true
	}
	n = 1
	for n < len(b) && n <= need && b[n] >= low && b[n] <= high {
		low, high = 0x80, 0xbf
		n++
	}
	return n, n < len(b)
}

// decodeUTF16 is decodeUTF8 for UTF-16.
func decodeUTF16(b []byte, big, last bool) (text string, rest []byte, wrong bool) {
	unit := func(i int) rune {
		if big {
			return rune(b[i])<<8 | rune(b[i+1])
		}
		return rune(b[i+1])<<8 | rune(b[i])
	}
	var out strings.Builder
	out.Grow(len(b))
	i := 0
	for ; i+1 < len(b); i += 2 {
		r := unit(i)
		switch {
		case !utf16.IsSurrogate(r):
			out.WriteRune(r)
		case r < 0xdc00 && i+3 < len(b):
			if pair := utf16.DecodeRune(r, unit(i+2)); pair != utf8.RuneError {
				out.WriteRune(pair)
				i += 2
			} else {
				wrong = true
				out.WriteRune(utf8.RuneError)
			}
		case r < 0xdc00 && !last:
			return out.String(), b[i:], wrong
		case r < 0xdc00: // the end of the input: with an odd byte after it this is one error
			out.WriteRune(utf8.RuneError)
			return out.String(), nil, true
		default:
			wrong = true
			out.WriteRune(utf8.RuneError)
		}
	}
	if i == len(b) {
		return out.String(), nil, wrong
	}
	if !last {
		return out.String(), b[i:], wrong
	}
	out.WriteRune(utf8.RuneError)
	return out.String(), nil, true
}
