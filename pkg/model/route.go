package model

import (
	"net/netip"
	"regexp"
	"strings"
)

// Route says where requests for one host go. The whole table is published at once.
type Route struct {
	Host       string // as Domain.Host
	Path       string // "" for the whole host; "/api/*" or "/health" for a function on another app's domain
	Middleware bool   // with Path: the function may pass the request on to what the host would do without it
	WorkloadID string
	App        string // for error pages and the access log
	TLS        TLSMode
	State      RouteState
	Backends   []Backend // of the release that serves; empty unless State is RouteServing
	Limits     RouteLimits
}

// RouteState is what a request meets.
type RouteState string

// The states of a route.
const (
	RouteServing  RouteState = "serving"
	RouteStarting RouteState = "starting" // 503 and a page that says so
	RouteDown     RouteState = "down"     // 503: every replica is down
	RouteStopped  RouteState = "stopped"  // 503: scaled to zero
)

// Backend is one replica that takes requests.
type Backend struct {
	Name     string         // the container's
	Addr     netip.AddrPort // zero where Function or Static is set
	Function bool           // answers inside the daemon
	Static   bool           // a static site: likewise
}

// RouteLimits bound one request. Zero means the proxy's default.
type RouteLimits struct {
	MaxBody int64             `json:"maxBody,omitempty"` // bytes of request body; default 100 MiB; -1: no limit
	Timeout Duration          `json:"timeout,omitempty"` // from request to the first byte of the answer; default 60 s; does not cut streams
	Headers map[string]string `json:"headers,omitempty"` // set on every answer, at most MaxHeaders
}

// MaxHeaders bounds RouteLimits.Headers.
const MaxHeaders = 50

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)

// Validate refuses limits that cannot be kept. process is used in the message only.
func (l RouteLimits) Validate(process string) error {
	switch {
	case l.MaxBody < -1:
		return Invalid("%s: %d bytes are no limit of a request body", process, l.MaxBody).WithHint("-1 means no limit")
	case l.Timeout < 0 || l.Timeout > MaxGrace:
		return Invalid("%s: http.timeout of %s is out of bounds", process, l.Timeout).WithHint("choose 0s to %s", MaxGrace)
	case len(l.Headers) > MaxHeaders:
		return Invalid("%s: %d headers are too many", process, len(l.Headers)).WithHint("at most %d", MaxHeaders)
	}
	for name, value := range l.Headers {
		if !headerName.MatchString(name) {
			return Invalid("%s: %q is not the name of a header", process, name).WithHint("use letters, digits and -")
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return Invalid("%s: the header %s holds a line break", process, name)
		}
	}
	return nil
}
