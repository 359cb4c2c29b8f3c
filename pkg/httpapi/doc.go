// Package httpapi is the HTTP door of a box: it decodes a request, knows who asks, calls pkg/control and encodes the
// answer. It decides nothing.
//
// Every route is registered with the permission it needs, or with the reason why it needs none; one without either
// keeps New from succeeding. The permission is asked for at the door, before a body is read or a stream begun, and by
// control again.
//
// A caller is known by a bearer token over TCP, and by the kernel's word on the box's Unix socket: there root needs no
// token and everybody else is refused.
//
//	GET  /                  a page that says what this is
//	GET  /claim/SECRET      a page with one button; POST makes the visitor the owner
//	GET  /healthz           200 while the daemon answers
//	GET  /openapi.json      the description of everything under /v1
//	     /v1/…              see docs/api.md
package httpapi
