package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// appendHeader appends the request as the replica is to see it, up to its body.
func (x *exchange) appendHeader(b []byte) []byte {
	r := x.r
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, requestTarget(r)...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, '\r', '\n')
	drop := connectionTokens(r.Header)
	for k, vv := range r.Header {
		if hopByHop(k) || forwarding(k) || k == "Host" || k == "Content-Length" || k == "Expect" || drop[k] {
			continue
		}
		for _, v := range vv {
			b = appendField(b, k, v)
		}
	}
	if te := r.Header["Te"]; len(te) > 0 && httpguts.HeaderValuesContainsToken(te, "trailers") {
		b = append(b, "Te: trailers\r\n"...)
	}
	b = appendField(b, "X-Forwarded-For", remoteIP(r))
	b = appendField(b, "X-Forwarded-Host", r.Host)
	if r.TLS != nil {
		b = append(b, "X-Forwarded-Proto: https\r\n"...)
	} else {
		b = append(b, "X-Forwarded-Proto: http\r\n"...)
	}
	b = appendField(b, "X-Request-Id", x.id())
	switch {
	case r.ContentLength > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, '\r', '\n')
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if len(r.Trailer) > 0 {
			names := make([]string, 0, len(r.Trailer))
			for k := range r.Trailer {
				names = append(names, k)
			}
			b = appendField(b, "Trailer", strings.Join(names, ", "))
		}
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...)
	}
	return append(b, '\r', '\n')
}

// appendField appends one header field. Line ends in it would let a client write requests of its own: net/http lets
// none through, and this makes sure.
func appendField(b []byte, k, v string) []byte {
	if strings.ContainsAny(v, "\r\n\x00") || strings.ContainsAny(k, "\r\n: ") {
		return b
	}
	b = append(b, k...)
	b = append(b, ':', ' ')
	b = append(b, v...)
	return append(b, '\r', '\n')
}

// requestTarget returns the target as the client wrote it, unless it is in absolute form or holds what could be taken
// for the end of the request line.
func requestTarget(r *http.Request) string {
	t := r.RequestURI
	if len(t) == 0 || t[0] != '/' {
		return r.URL.RequestURI()
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] >= 0x7f {
			return r.URL.RequestURI()
		}
	}
	return t
}
