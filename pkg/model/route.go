package model

import "net/netip"

// Route says where requests for one host go. The whole table is published at once.
type Route struct {
	Host       string // as Domain.Host
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
	Name string // the container's
	Addr netip.AddrPort
}

// RouteLimits bound one request. Zero means the proxy's default.
type RouteLimits struct {
	MaxBody int64             // bytes of request body; default 100 MiB; -1: no limit
	Timeout Duration          // from request to the first byte of the answer; default 60 s; does not cut streams
	Headers map[string]string // set on every answer
}
