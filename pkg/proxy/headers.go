package proxy

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"strings"
)

// hopByHop tells whether a header belongs to one connection only (RFC 9110, section 7.6.1, and what old software
// sends besides).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// forwarding tells whether a header says who the client is, or that pandabox itself asks: those of clients are not
// believed.
func forwarding(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server",
		"X-Forwarded-Ssl", "X-Real-Ip", "X-Request-Id":
		return true
	}
	return strings.HasPrefix(name, "X-Pandabox-")
}

// connectionTokens returns the headers that a Connection header names, or nil.
func connectionTokens(h http.Header) map[string]bool {
	values := h["Connection"]
	if len(values) == 0 {
		return nil
	}
	var out map[string]bool
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			part = textproto.TrimString(part)
			if part == "" || strings.EqualFold(part, "close") || strings.EqualFold(part, "keep-alive") {
				continue
			}
			if out == nil {
				out = map[string]bool{}
			}
			out[textproto.CanonicalMIMEHeaderKey(part)] = true
		}
	}
	return out
}

// upgradeOf returns the protocol a message wants to switch to, or "".
func upgradeOf(h http.Header) string {
	if len(h["Upgrade"]) == 0 {
		return ""
	}
	for _, v := range h["Connection"] {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(textproto.TrimString(part), "upgrade") {
				return h["Upgrade"][0]
			}
		}
	}
	return ""
}

// requestID returns the client's own id for a request if it is harmless to pass on and to log, else a new one.
func requestID(r *http.Request) string {
	if v := r.Header["X-Request-Id"]; len(v) == 1 && len(v[0]) >= 8 && len(v[0]) <= 64 && plainID(v[0]) {
		return v[0]
	}
	var raw [16]byte
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		raw[i], raw[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	return hex.EncodeToString(raw[:])
}

func plainID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// remoteIP returns the client's address without its port.
func remoteIP(r *http.Request) string {
	a := r.RemoteAddr
	i := strings.LastIndexByte(a, ':')
	if i < 0 {
		return a
	}
	a = a[:i]
	if strings.HasPrefix(a, "[") {
		a = a[1 : len(a)-1]
		if z := strings.IndexByte(a, '%'); z >= 0 {
			a = a[:z]
		}
		a = strings.TrimPrefix(a, "::ffff:")
	}
	return a
}
