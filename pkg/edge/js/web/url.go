package web

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/nlnwa/whatwg-url/url"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

func urlFunctions() []bridge.Function {
	parser := url.NewParser()
	return []bridge.Function{
		{Name: "parseURL", Call: func(_ context.Context, a bridge.Args) (bridge.Value, error) {
			return parseURL(parser, a)
		}},
		{Name: "changeURL", Call: func(_ context.Context, a bridge.Args) (bridge.Value, error) {
			return changeURL(parser, a)
		}},
	}
}

// parseURL(text, base or undefined, parts) → the serialised URL, its offsets written to parts; null where it is none.
func parseURL(p url.Parser, a bridge.Args) (bridge.Value, error) {
	var base *url.Url
	if a.At(1).Kind() == bridge.KindString {
		b, err := p.Parse(a.String(1))
		if err != nil {
			return bridge.Null(), nil //nolint:nilerr // no URL is an answer
		}
		base = b
	}
	u, err := p.BasicParser(a.String(0), base, nil, url.NoState)
	if err != nil || u == nil {
		return bridge.Null(), nil //nolint:nilerr // as above
	}
	return answerURL(u, a.Bytes(2)), nil
}

// changeURL(href, part, value, parts) sets a part as the attribute of that name does.
func changeURL(p url.Parser, a bridge.Args) (bridge.Value, error) {
	u, err := p.Parse(a.String(0))
	if err != nil {
		return bridge.Undefined(), bridge.Throw("TypeError", "invalid URL: "+a.String(0))
	}
	value := a.String(2)
	switch a.String(1) {
	case "protocol":
		u.SetProtocol(value)
	case "username":
		u.SetUsername(value)
	case "password":
		u.SetPassword(value)
	case "host":
		u.SetHost(value)
	case "hostname":
		u.SetHostname(value)
	case "port":
		u.SetPort(value)
	case "pathname":
		u.SetPathname(value)
	case "search":
		u.SetSearch(value)
	case "hash":
		u.SetHash(value)
	}
	return answerURL(u, a.Bytes(3)), nil
}

func answerURL(u *url.Url, parts []byte) bridge.Value {
	href := u.Href(false)
	for i, v := range offsets(href) {
		if len(parts) >= 4*i+4 {
			binary.LittleEndian.PutUint32(parts[4*i:], uint32(v)) //nolint:gosec // an offset in a string
		}
	}
	return bridge.String(href)
}

// offsets takes a serialised URL apart: the ends of scheme, user name and password, begin and end of the host, the begins
// of path, query and fragment. All are ASCII, so that bytes are characters.
func offsets(href string) [8]int {
	hash := len(href)
	if i := strings.IndexByte(href, '#'); i >= 0 {
		hash = i
	}
	query := hash
	if i := strings.IndexByte(href[:hash], '?'); i >= 0 {
		query = i
	}
	scheme := strings.IndexByte(href, ':') + 1
	o := [8]int{scheme, scheme, scheme, scheme, scheme, scheme, query, hash}
	rest := href[scheme:query]
	if !strings.HasPrefix(rest, "//") {
		if strings.HasPrefix(rest, "/.//") { // no host: a path that would look like one
			o[5] += 2
		}
		return o
	}
	begin, path := scheme+2, query
	if i := strings.IndexByte(href[begin:query], '/'); i >= 0 {
		path = begin + i
	}
	host := begin
	user, password := begin, begin
	if at := strings.LastIndexByte(href[begin:path], '@'); at >= 0 {
		host = begin + at + 1
		user, password = begin+at, begin+at
		if colon := strings.IndexByte(href[begin:begin+at], ':'); colon >= 0 {
			user = begin + colon
		}
	}
	end := path
	if colon := strings.LastIndexByte(href[host:path], ':'); colon >= 0 && !strings.HasSuffix(href[host:path], "]") {
		end = host + colon
	}
	o[1], o[2], o[3], o[4], o[5] = user, password, host, end, path
	return o
}
