// Package api holds the types that travel between a pandabox box and its clients, as JSON. Values of pkg/model that are
// the same on the wire are used as they are; what the box keeps to itself (hashes of tokens, sealed values) has no field
// here.
//
// Times are UTC in RFC 3339, sizes bytes, CPU thousandths of a core, durations strings like "1m30s" unless a field says
// otherwise. Fields are only ever added; a client ignores those it does not know, the box refuses them.
package api
