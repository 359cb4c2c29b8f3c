// Package proxy is the door of the box: an embedded Caddy that terminates HTTP/1.1, 2 and 3 and TLS, and hands every
// request to one handler of ours. That handler finds the request's host in an immutable index behind an atomic
// pointer, so that a request waits for no lock and reads no store, and costs the same with one route and with ten
// thousand. Caddy gets one configuration at Start and is never reloaded: Publish only swaps the index.
//
// Caddy keeps its state in package variables, so that one Proxy can run in a process at a time.
package proxy
